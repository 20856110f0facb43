#include "orchestrator/metrics/exact_number.h"

#include <algorithm>
#include <array>
#include <vector>

namespace proctor {
namespace {

constexpr std::size_t kMaxDigits = 4000;        // a product of two is 16 million steps
constexpr std::size_t kMaxExponentDigits = 15;  // sums of exponents stay far within 64 bits

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// Without the zeros at both ends.
Decimal canonical(std::string digits, std::int64_t exponent) {
  const std::size_t last = digits.find_last_not_of('0');
  if (last == std::string::npos) return {};
  exponent += static_cast<std::int64_t>(digits.size() - last - 1);
  digits.erase(last + 1);
  digits.erase(0, digits.find_first_not_of('0'));
  return {std::move(digits), exponent};
}

/// Reads from the front of a text; what is not there is not taken.
class Reader {
 public:
  explicit Reader(std::string_view text) : rest_(text) {}

  bool ends() const { return rest_.empty(); }
  bool take(std::string_view token) {
    if (!rest_.starts_with(token)) return false;
    rest_.remove_prefix(token.size());
    return true;
  }
  void spaces() { rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t\n\r\f\v"), rest_.size())); }
  /// One sign or none. True: a minus.
  bool minus() {
    const bool negative = take("-");
    if (!negative) take("+");
    return negative;
  }
  std::string digits() {
    std::size_t n = 0;
    while (n < rest_.size() && is_digit(rest_[n])) ++n;
    std::string taken(rest_.substr(0, n));
    rest_.remove_prefix(n);
    return taken;
  }
  std::string one_digit() {
    if (ends() || !is_digit(rest_.front())) return {};
    std::string taken(rest_.substr(0, 1));
    rest_.remove_prefix(1);
    return taken;
  }

  /// Digits with or without thousands separators.
  std::string grouped_digits() {
    std::string all = digits();
    if (all.empty() || all.size() > 3 || all.front() == '0') return all;
    while (!ends()) {
      const std::string_view before = rest_;
      const std::string group = separator() ? digits() : std::string();
      if (group.size() != 3) {
        rest_ = before;
        break;
      }
      all += group;
    }
    return all;
  }

  /// The power of ten behind an e, a \times 10^ or a \cdot 10^; false: too large to hold.
  bool integer(std::int64_t& value) {
    const bool negative = minus();
    std::string text = digits();
    if (text.empty()) return false;
    text.erase(0, std::min(text.find_first_not_of('0'), text.size() - 1));
    if (text.size() > kMaxExponentDigits) return false;
    value = std::stoll(text) * (negative ? -1 : 1);
    return true;
  }

  std::optional<Decimal> decimal() {
    std::string all = grouped_digits(), fraction;
    if (take(".")) fraction = digits();
    all += fraction;
    std::int64_t exponent = 0;
    if (all.empty() || ((take("e") || take("E")) && !integer(exponent))) return std::nullopt;
    Decimal value = canonical(std::move(all), exponent - static_cast<std::int64_t>(fraction.size()));
    if (value.digits.size() > kMaxDigits) return std::nullopt;
    return value;
  }

  /// Of a \frac: {-1.5}, or a single digit.
  std::optional<Decimal> argument(bool& negative) {
    spaces();
    if (!take("{")) {
      const std::string digit = one_digit();
      return digit.empty() ? std::nullopt : std::optional(canonical(digit, 0));
    }
    spaces();
    negative = minus() != negative;
    spaces();
    const auto value = decimal();
    spaces();
    return take("}") ? value : std::nullopt;
  }

 private:
  bool separator() {
    static constexpr std::array<std::string_view, 4> kSeparators = {"{,}", ",\\!", "\\,", ","};
    return std::ranges::any_of(kSeparators, [this](std::string_view token) { return take(token); });
  }

  std::string_view rest_;
};

bool read_fraction(Reader& reader, ExactNumber& number) {
  const auto over = reader.argument(number.negative);
  const auto under = over ? reader.argument(number.negative) : std::nullopt;
  if (!under) return false;
  number.numerator = *over;
  number.denominator = *under;
  return true;
}

/// \times 10^{n} behind a decimal, where there is one.
bool read_power(Reader& reader, Decimal& value) {
  reader.spaces();
  if (!reader.take("10^")) return false;
  const bool braced = reader.take("{");
  std::int64_t power = 0;
  if (!reader.integer(power) || (braced && !reader.take("}"))) return false;
  if (!value.digits.empty()) value.exponent += power;
  return true;
}

bool read_decimal_or_slash(Reader& reader, ExactNumber& number) {
  const auto first = reader.decimal();
  if (!first) return false;
  number.numerator = *first;
  reader.spaces();
  if (reader.take("\\times") || reader.take("\\cdot")) return read_power(reader, number.numerator);
  if (!reader.take("/")) return true;
  reader.spaces();
  number.negative = reader.minus() != number.negative;
  reader.spaces();
  const auto second = reader.decimal();
  if (second) number.denominator = *second;
  return second.has_value();
}

/// Schoolbook: column sums first, one pass of carries after. A column holds at most 4,000 * 81.
Decimal product(const Decimal& a, const Decimal& b) {
  if (a.digits.empty() || b.digits.empty()) return {};
  std::vector<std::uint32_t> columns(a.digits.size() + b.digits.size());
  for (std::size_t i = 0; i < a.digits.size(); ++i)
    for (std::size_t j = 0; j < b.digits.size(); ++j)
      columns[i + j + 1] += static_cast<std::uint32_t>((a.digits[i] - '0') * (b.digits[j] - '0'));
  std::string digits(columns.size(), '0');
  std::uint32_t carry = 0;
  for (std::size_t i = columns.size(); i-- > 0;) {
    carry += columns[i];
    digits[i] = static_cast<char>('0' + carry % 10);
    carry /= 10;
  }
  return canonical(std::move(digits), a.exponent + b.exponent);
}

}  // namespace

std::optional<ExactNumber> exact_number(std::string_view text) {
  Reader reader(text);
  ExactNumber number;
  reader.spaces();
  number.negative = reader.minus();
  reader.spaces();
  const bool fraction = reader.take("\\frac") || reader.take("\\dfrac") || reader.take("\\tfrac");
  if (!(fraction ? read_fraction(reader, number) : read_decimal_or_slash(reader, number))) return std::nullopt;
  reader.spaces();
  number.percent = reader.take("\\%") || reader.take("%");
  reader.spaces();
  if (!reader.ends() || number.denominator.digits.empty()) return std::nullopt;
  return number;
}

bool same_value(const ExactNumber& a, const ExactNumber& b) {
  if (a.percent != b.percent) return false;
  const Decimal left = product(a.numerator, b.denominator), right = product(b.numerator, a.denominator);
  return left == right && (left.digits.empty() || a.negative == b.negative);
}

}  // namespace proctor
