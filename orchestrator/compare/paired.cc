#include "orchestrator/compare/paired.h"

#include <algorithm>
#include <boost/math/distributions/binomial.hpp>
#include <boost/math/distributions/normal.hpp>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <map>
#include <random>

namespace proctor {
namespace {

constexpr double kLevel = 0.975;  // both sides of 95 %
constexpr double kPower = 0.8;
constexpr std::size_t kResamples = 1000;
constexpr std::uint64_t kSeed = 1234;

double z_of(double share) { return boost::math::quantile(boost::math::normal(), share); }

Interval wilson(double successes, double n) {
  const double z = z_of(kLevel), share = successes / n;
  const double center = 2 * n * share + z * z, half = z * std::sqrt(z * z + 4 * n * share * (1 - share));
  return {(center - half) / (2 * (n + z * z)), (center + half) / (2 * (n + z * z))};
}

struct Cluster {
  double sum = 0;    ///< of the differences' deviations from their mean
  double count = 0;  ///< documents
};

/// A document without a cluster is its own.
std::vector<Cluster> clusters_of(std::span<const Pair> pairs, double mean) {
  std::vector<Cluster> clusters;
  std::map<std::string, std::size_t> places;
  for (const Pair& pair : pairs) {
    std::size_t place = clusters.size();
    if (!pair.cluster.empty()) place = places.try_emplace(pair.cluster, place).first->second;
    if (place == clusters.size()) clusters.emplace_back();
    clusters[place].sum += pair.b - pair.a - mean;
    ++clusters[place].count;
  }
  return clusters;
}

/// The percentiles of the mean difference over samples of whole clusters, drawn with replacement.
Interval bootstrapped(std::span<const Cluster> clusters, double mean) {
  std::mt19937_64 random(kSeed);
  std::vector<double> means;
  for (std::size_t r = 0; r < kResamples; ++r) {
    double sum = 0, count = 0;
    for (std::size_t i = 0; i < clusters.size(); ++i) {
      const auto drawn = static_cast<std::size_t>((static_cast<unsigned __int128>(random()) * clusters.size()) >> 64);
      sum += clusters[drawn].sum;
      count += clusters[drawn].count;
    }
    means.push_back(mean + sum / count);
  }
  std::ranges::sort(means);
  const auto at = [&](double share) { return means[static_cast<std::size_t>(share * (kResamples - 1) + 0.5)]; };
  return {at(1 - kLevel), at(kLevel)};
}

bool is_binary(std::span<const Pair> pairs) {
  return std::ranges::all_of(pairs,
                             [](const Pair& one) { return (one.a == 0 || one.a == 1) && (one.b == 0 || one.b == 1); });
}

void add_errors(PairedResult& result, std::span<const Pair> pairs) {
  const std::vector<Cluster> clusters = clusters_of(pairs, result.difference);
  if (clusters.size() < 2) return;
  double squares = 0;
  for (const Cluster& cluster : clusters) squares += cluster.sum * cluster.sum;
  const double n = static_cast<double>(result.n), groups = static_cast<double>(clusters.size());
  const double error = std::sqrt(squares * groups / (groups - 1)) / n;
  result.stderr_ = error;
  result.bootstrap = bootstrapped(clusters, result.difference);
  const double reach = z_of(kLevel) + z_of(kPower);
  if (error > 0) result.detectable = reach * error;
  if (error > 0 && result.difference != 0)
    result.documents_needed = static_cast<std::uint64_t>(std::ceil(n * std::pow(reach * error / result.difference, 2)));
  if (result.test == "mcnemar") return;
  if (error == 0) {
    result.p = result.difference == 0 ? 1.0 : 0.0;
    result.interval = {result.difference, result.difference};
    return;
  }
  const boost::math::students_t t(groups - 1);
  result.p = 2 * boost::math::cdf(boost::math::complement(t, std::abs(result.difference) / error));
  const double half = boost::math::quantile(t, kLevel) * error;
  result.interval = {result.difference - half, result.difference + half};
}

}  // namespace

double mcnemar_exact(std::size_t only_a, std::size_t only_b) {
  const std::size_t n = only_a + only_b;
  if (n == 0) return 1;
  const boost::math::binomial flips(static_cast<double>(n), 0.5);
  return std::min(1.0, 2 * boost::math::cdf(flips, static_cast<double>(std::min(only_a, only_b))));
}

Interval newcombe_paired(std::size_t both, std::size_t only_a, std::size_t only_b, std::size_t neither) {
  const double e = static_cast<double>(both), f = static_cast<double>(only_b), g = static_cast<double>(only_a),
               h = static_cast<double>(neither), n = e + f + g + h;
  const double b = (e + f) / n, a = (e + g) / n;
  const Interval of_b = wilson(e + f, n), of_a = wilson(e + g, n);
  const double margins = (e + f) * (g + h) * (e + g) * (f + h);
  double cross = e * h - f * g;
  if (cross > 0) cross = std::max(cross - n / 2, 0.0);  // method 10's correction
  const double phi = margins > 0 ? cross / std::sqrt(margins) : 0;
  const double down_b = b - of_b.low, up_b = of_b.high - b, down_a = a - of_a.low, up_a = of_a.high - a;
  const auto root = [&](double x, double y) { return std::sqrt(std::max(0.0, x * x - 2 * phi * x * y + y * y)); };
  return {b - a - root(down_b, up_a), b - a + root(up_b, down_a)};
}

PairedResult compare_pairs(std::span<const Pair> pairs, bool clustered) {
  PairedResult result;
  result.n = pairs.size();
  result.test = !clustered && is_binary(pairs) ? "mcnemar" : "paired_t";
  if (pairs.empty()) return result;
  double a = 0, b = 0;
  for (const Pair& pair : pairs) {
    a += pair.a;
    b += pair.b;
    result.wins_a += pair.a > pair.b;
    result.wins_b += pair.b > pair.a;
  }
  const double n = static_cast<double>(result.n);
  result.a = a / n;
  result.b = b / n;
  result.difference = b / n - a / n;
  add_errors(result, pairs);
  if (result.test == "mcnemar") {
    const auto both = static_cast<std::size_t>(
        std::ranges::count_if(pairs, [](const Pair& one) { return one.a == 1 && one.b == 1; }));
    result.p = mcnemar_exact(result.wins_a, result.wins_b);
    result.interval =
        newcombe_paired(both, result.wins_a, result.wins_b, result.n - both - result.wins_a - result.wins_b);
  }
  return result;
}

std::vector<std::optional<double>> holm(std::span<const std::optional<double>> p) {
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < p.size(); ++i)
    if (p[i]) order.push_back(i);
  std::ranges::stable_sort(order, {}, [&](std::size_t i) { return *p[i]; });
  std::vector<std::optional<double>> adjusted(p.size());
  double least = 0;
  for (std::size_t k = 0; k < order.size(); ++k) {
    least = std::max(least, std::min(1.0, static_cast<double>(order.size() - k) * *p[order[k]]));
    adjusted[order[k]] = least;
  }
  return adjusted;
}

}  // namespace proctor
