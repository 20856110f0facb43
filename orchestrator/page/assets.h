// The page's own files, as they stand in assets/ and tabulator/, in the program.
#pragma once

#include <string>
#include <string_view>

namespace proctor::assets {

std::string_view html();   ///< the page with {{...}} where its parts go
std::string_view style();  ///< after Tabulator's
std::string script();      ///< after Tabulator's
std::string_view tabulator_style();
std::string_view tabulator_script();

}  // namespace proctor::assets
