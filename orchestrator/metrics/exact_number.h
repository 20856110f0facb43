// Numbers as people and LaTeX write them, by their exact value: no floating point, no overflow, bounded work.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace proctor {

/// digits * 10^exponent, in one form only: digits have no zero at either end; zero is no digits and exponent 0.
struct Decimal {
  std::string digits;
  std::int64_t exponent = 0;
  bool operator==(const Decimal&) const = default;
};

/// A fraction of decimals, not reduced. A percent sign is remembered, not divided by.
struct ExactNumber {
  bool negative = false;
  bool percent = false;
  Decimal numerator;
  Decimal denominator{"1", 0};  ///< never zero
};

/// The number that the whole text is (spaces around its parts left aside), or none. A number has a sign or none, then
/// one of 12, 1.5, .5, 5., 1.5e-3, 1.5 \times 10^{-3} (also \cdot), 1/2, \frac{1}{2}, \frac12, \frac1{2} (also \dfrac,
/// \tfrac; numerator and denominator may be signed decimals), and then perhaps % or \%. Thousands may be apart by ",",
/// "{,}",
/// ",\!" or "\,": 1,234,567. Not a number here: a zero denominator, more than 4,000 significant digits in one decimal,
/// an exponent of more than 15 digits.
std::optional<ExactNumber> exact_number(std::string_view text);

/// Equal as rational numbers, and both or neither with a percent sign: 0.1 and 1/10; 50% and 50.0%; not 50% and 50.
bool same_value(const ExactNumber& a, const ExactNumber& b);

}  // namespace proctor
