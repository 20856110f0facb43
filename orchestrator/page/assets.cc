#include "orchestrator/page/assets.h"

/// `name`: of a file below this room; its bytes lie between two symbols.
// NOLINTNEXTLINE(cppcoreguidelines-macro-usage): the assembler's directive wants the path as a literal
#define PROCTOR_ASSET(symbol, name)                                                           \
  asm(".section .rodata\n" #symbol "_begin:\n.incbin \"" PROCTOR_PAGE "/" name "\"\n" #symbol \
      "_end:\n.byte 0\n.previous\n");                                                         \
  extern "C" const char symbol##_begin[], symbol##_end[];

PROCTOR_ASSET(proctor_page_html, "assets/page.html")
PROCTOR_ASSET(proctor_page_style, "assets/page.css")
PROCTOR_ASSET(proctor_data_script, "assets/data.js")
PROCTOR_ASSET(proctor_tables_script, "assets/tables.js")
PROCTOR_ASSET(proctor_samples_script, "assets/samples.js")
PROCTOR_ASSET(proctor_page_script, "assets/page.js")
PROCTOR_ASSET(proctor_tabulator_style, "tabulator/tabulator_simple.min.css")
PROCTOR_ASSET(proctor_tabulator_script, "tabulator/tabulator.min.js")

namespace proctor::assets {

std::string_view html() { return {proctor_page_html_begin, proctor_page_html_end}; }
std::string_view style() { return {proctor_page_style_begin, proctor_page_style_end}; }
std::string script() {
  std::string all;
  for (const std::string_view part : {std::string_view(proctor_data_script_begin, proctor_data_script_end),
                                      std::string_view(proctor_tables_script_begin, proctor_tables_script_end),
                                      std::string_view(proctor_samples_script_begin, proctor_samples_script_end),
                                      std::string_view(proctor_page_script_begin, proctor_page_script_end)})
    all += part;
  return all;
}
std::string_view tabulator_style() { return {proctor_tabulator_style_begin, proctor_tabulator_style_end}; }
std::string_view tabulator_script() { return {proctor_tabulator_script_begin, proctor_tabulator_script_end}; }

}  // namespace proctor::assets
