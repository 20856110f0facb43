// Questions to answer with yes or no: MME's reading of an answer and POPE's counts. Pure.
#pragma once

#include <span>
#include <string>
#include <vector>

namespace proctor {

/// MME's (Fu et al., 2023): without full stops, in lower case; "y" and "n" alone, else yes or no among the first four
/// characters; the truth is compared whole.
bool same_yes_no(const std::string& prediction, const std::string& truth);

/// POPE's: the same word in lower case without outer space.
bool same_word(const std::string& prediction, const std::string& truth);

/// POPE's counts (Li et al., 2023) of one answer: the whole text, in lower case without outer space, is yes, no or
/// neither. To be added over the documents.
std::vector<double> yes_no_counts(const std::string& prediction, const std::string& truth);

// Of such sums; 0 where there is nothing to divide by. A missed yes is one that was answered no.
double yes_precision(std::span<const double> sums);
double yes_recall(std::span<const double> sums);
double yes_f1(std::span<const double> sums);
double yes_ratio(std::span<const double> sums);  ///< the share of answers that are yes

}  // namespace proctor
