#include "orchestrator/prompts/template_filter.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "orchestrator/cpython/python_literal.h"
#include "orchestrator/cpython/python_text.h"
#include "sharding/protocol/error.h"

namespace proctor {

const char* const kTemplateBridge =
    "; templates hold {{name}}, {{a.b}}, {{a[0]}} and, of a column of any name, {{field[\"Any name\"]}}. For Jinja use "
    "the lm-eval bridge";

namespace {

using Json = nlohmann::ordered_json;
using Arguments = std::vector<std::string>;

/// Of a list each element by itself.
template <class Change>
TemplateFilter each(Change change) {
  return [change](const Json& value) {
    if (!value.is_array()) return Json(change(value));
    Json out = Json::array();
    for (const Json& one : value) out.push_back(change(one));
    return out;
  };
}

template <class Change>
TemplateFilter of_text(Change change) {
  return each([change](const Json& value) { return change(python::str(value)); });
}

/// The first place of the mark divides; without one all of the text stands before it.
TemplateFilter before(const Arguments& given) {
  return of_text([mark = given[0]](const std::string& text) { return text.substr(0, text.find(mark)); });
}
TemplateFilter after(const Arguments& given) {
  return of_text([mark = given[0]](const std::string& text) {
    const auto found = text.find(mark);
    return found == std::string::npos ? std::string() : text.substr(found + mark.size());
  });
}

bool is_nothing(const Json& value) { return value.is_null() || value == ""; }

/// Between the two texts, or nothing where there is nothing.
TemplateFilter wrap(const Arguments& given) {
  return each([given](const Json& value) {
    return is_nothing(value) ? std::string() : given[0] + python::str(value) + given[1];
  });
}

TemplateFilter unless(const Arguments& given) {
  return each([mark = given[0]](const Json& value) {
    return is_nothing(value) || python::str(value) == mark ? std::string() : python::str(value);
  });
}

TemplateFilter when(const Arguments& given) {
  return of_text([given](const std::string& text) { return text == given[0] ? given[1] : given[2]; });
}

/// A text that is no list in Python's notation is kept.
TemplateFilter python_list(const Arguments&) {
  return [](const Json& value) {
    if (!value.is_string()) return value;
    const auto list = python::list_literal(value.get_ref<const std::string&>());
    return list ? Json(*list) : value;
  };
}

constexpr std::size_t kLetters = 26;

/// "A. red\nB. blue"
TemplateFilter lettered(const Arguments&) {
  return [](const Json& value) {
    if (!value.is_array() || value.size() > kLetters)
      throw InputError("| lettered takes a list of 26 at most, found " + value.dump());
    std::string lines;
    for (std::size_t i = 0; i < value.size(); ++i)
      lines.append(i == 0 ? "" : "\n").append(1, static_cast<char>('A' + i)).append(". " + python::str(value[i]));
    return Json(lines);
  };
}

/// 0 becomes A, as a number or as digits.
TemplateFilter letter(const Arguments&) {
  return of_text([](const std::string& text) {
    const bool digits =
        !text.empty() && text.size() <= 2 && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
    if (!digits || std::stoul(text) >= kLetters) throw InputError("| letter takes 0 to 25, found '" + text + "'");
    return std::string(1, static_cast<char>('A' + std::stoul(text)));
  });
}

/// A list as one text.
TemplateFilter join(const Arguments& given) {
  return [between = given[0]](const Json& value) {
    if (!value.is_array()) throw InputError("| join takes a list, found " + value.dump());
    std::string text;
    for (std::size_t i = 0; i < value.size(); ++i) text += (i == 0 ? "" : between) + python::str(value[i]);
    return Json(text);
  };
}

struct Row {
  const char* name;
  const char* arguments;  // as messages show them
  std::size_t count;
  TemplateFilter (*make)(const Arguments& given);
};
const Row kTable[] = {
    {"trim", "", 0, [](const Arguments&) { return of_text(python::strip); }},
    {"capitalize", "", 0, [](const Arguments&) { return of_text(python::capitalize); }},
    {"before", "(\"text\")", 1, before},
    {"after", "(\"text\")", 1, after},
    {"wrap", "(\"before\", \"after\")", 2, wrap},
    {"unless", "(\"text\")", 1, unless},
    {"when", "(\"text\", \"then\", \"else\")", 3, when},
    {"python_list", "", 0, python_list},
    {"join", "(\"between\")", 1, join},
    {"lettered", "", 0, lettered},
    {"letter", "", 0, letter},
};

/// What is quoted between the brackets at `at`, or nothing where they are not well formed. No brackets: no arguments.
std::optional<Arguments> arguments_at(const std::string& expression, std::size_t at) {
  const auto skip = [&] { at = std::min(expression.find_first_not_of(' ', at), expression.size()); };
  Arguments given;
  if (at == expression.size()) return given;
  do {
    ++at, skip();
    if (at >= expression.size() || (expression[at] != '"' && expression[at] != '\'')) return std::nullopt;
    std::optional<std::string> one = quoted(expression, at);
    if (!one) return std::nullopt;
    given.push_back(std::move(*one));
    skip();
  } while (at < expression.size() && expression[at] == ',');
  return expression.substr(at) == ")" ? std::optional(given) : std::nullopt;
}

}  // namespace

TemplateFilter parse_template_filter(const std::string& raw, const std::string& where) {
  const std::string expression = trimmed(raw);
  const std::size_t open = std::min(expression.find('('), expression.size());
  std::string known;
  for (const Row& row : kTable) {
    known += (known.empty() ? "" : ", ") + std::string(row.name) + row.arguments;
    if (expression.substr(0, open) != row.name) continue;
    const std::optional<Arguments> given = arguments_at(expression, open);
    const bool empty_mark = given && row.count == 1 && given->size() == 1 && given->front().empty();
    if (given && given->size() == row.count && !empty_mark) return row.make(*given);
  }
  throw UsageError(where + ": '| " + expression + "' is no filter; there are " + known + kTemplateBridge);
}

std::string trimmed(std::string text) {
  text.erase(0, std::min(text.find_first_not_of(' '), text.size()));
  text.erase(text.find_last_not_of(' ') + 1);
  return text;
}

std::optional<std::string> quoted(const std::string& expression, std::size_t& at) {
  const char mark = expression[at];
  std::string text;
  for (++at; at < expression.size(); ++at) {
    if (expression[at] == mark) return ++at, text;
    char letter = expression[at];
    if (letter == '\\' && at + 1 < expression.size()) {
      letter = expression[++at];
      letter = letter == 'n' ? '\n' : letter == 't' ? '\t' : letter;
    }
    text += letter;
  }
  return std::nullopt;
}

}  // namespace proctor
