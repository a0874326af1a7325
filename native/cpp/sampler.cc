#include "sampler.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace steptree {

namespace {

constexpr int32_t kWhole = 1 << 30;

double total(const double* lanes) {
  return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) +
         ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
}

size_t firstOf(float value, const float* row, size_t vocab, const std::vector<float>& cellTops) {
  size_t cell = 0;
  while (cellTops[cell] != value) cell++;
  size_t id = cell * kCell;
  while (id < vocab && row[id] != value) id++;
  return id;
}

}  // namespace

// Weights above `weight` are kept, and the first `ties` of those equal to it.
struct Sampler::Cut {
  int32_t weight;
  size_t ties;
  size_t allTies;
  // Sum of what is kept.
  int64_t sum;
};

bool Sampler::sumWeights(const float* logits, size_t vocab, float* top, double* sum) {
  cellTops_.resize(vocab / kCell + 1);
  const Scan found = p_->scan(logits, vocab, cellTops_.data());
  if (!found.usable) return false;
  double lanes[8] = {};
  p_->addWeights(logits, vocab, found.top, lanes);
  *top = found.top;
  *sum = total(lanes) / kUnit;
  return true;
}

bool Sampler::sample(const float* logits, size_t vocab, const Settings& settings,
                     const uint8_t* seen, Drawn* out) {
  cellTops_.resize(vocab / kCell + 1);
  const Scan found = p_->scan(logits, vocab, cellTops_.data());
  if (!found.usable) return false;
  const float* row = logits;
  float top = found.top;
  double lanes[8] = {};
  if (seen != nullptr) {
    row = penalise(logits, vocab, seen, settings.penalty);
    const Scan again = p_->scan(row, vocab, cellTops_.data());
    if (!again.usable) return false;
    top = again.top;
  }
  if (settings.steps == 0) {
    p_->addWeights(logits, vocab, found.top, lanes);
    out->token = static_cast<int32_t>(firstOf(top, row, vocab, cellTops_));
  } else {
    out->token = draw(logits, found.top, row, top, vocab, settings, lanes);
  }
  out->rise = static_cast<double>(logits[out->token]) - static_cast<double>(found.top);
  out->sum = total(lanes) / kUnit;
  return true;
}

const float* Sampler::penalise(const float* logits, size_t vocab, const uint8_t* seen,
                               double penalty) {
  penalised_.assign(logits, logits + vocab);
  const auto apply = [&](size_t id) {
    const double logit = logits[id];
    penalised_[id] = static_cast<float>(logit > 0 ? logit / penalty : logit * penalty);
  };
  size_t id = 0;
  // Few tokens have been seen, so eight are looked at together.
  for (; id + 8 <= vocab; id += 8) {
    uint64_t flags;
    std::memcpy(&flags, seen + id, sizeof flags);
    if (flags == 0) continue;
    for (size_t i = id; i < id + 8; i++) {
      if (seen[i] == 1) apply(i);
    }
  }
  for (; id < vocab; id++) {
    if (seen[id] == 1) apply(id);
  }
  return penalised_.data();
}

int32_t Sampler::draw(const float* raw, float rawTop, const float* row, float top, size_t vocab,
                      const Settings& settings, double* lanes) {
  const float steps = static_cast<float>(settings.steps);
  const bool countCut = settings.topK > 0 && settings.topK < static_cast<double>(vocab);
  const bool weightCut = settings.minWeight > 1;
  const bool massCut = settings.topP < 1;
  if (!countCut && !weightCut && !massCut) {
    return drawFromAll(raw, rawTop, row, top, vocab, steps, settings.uniform, lanes);
  }
  weights_.resize(vocab + 8);
  if (!countCut && !weightCut) {
    int64_t sum;
    if (row == raw && steps == kStepsPerNat) {
      sum = p_->addAndStore(raw, vocab, rawTop, lanes, weights_.data());
    } else {
      p_->addWeights(raw, vocab, rawTop, lanes);
      sum = p_->store(row, vocab, top, steps, weights_.data());
    }
    const Cut cut = byMass(weights_.data(), vocab, sum, settings.topP * static_cast<double>(sum));
    return static_cast<int32_t>(drawKept(weights_.data(), vocab, cut, settings.uniform));
  }
  p_->addWeights(raw, vocab, rawTop, lanes);
  collect(row, top, vocab, settings);
  size_t count = ids_.size();
  Cut cut = {1, count, count, 0};
  if (countCut && settings.topK < static_cast<double>(count)) {
    cut = byCount(weights_.data(), count, static_cast<size_t>(settings.topK));
    size_t kept = 0;
    size_t ties = cut.ties;
    for (size_t i = 0; i < count; i++) {
      const int32_t weight = weights_[i];
      if (weight < cut.weight || (weight == cut.weight && ties == 0)) continue;
      if (weight == cut.weight) ties--;
      weights_[kept] = weight;
      ids_[kept++] = ids_[i];
    }
    count = kept;
  }
  int64_t sum = p_->sumAtLeast(weights_.data(), count, 1);
  cut = {1, count, count, sum};
  if (massCut) cut = byMass(weights_.data(), count, sum, settings.topP * static_cast<double>(sum));
  return ids_[drawKept(weights_.data(), count, cut, settings.uniform)];
}

int32_t Sampler::drawFromAll(const float* raw, float rawTop, const float* row, float top,
                             size_t vocab, float steps, double uniform, double* lanes) {
  chunkSums_.clear();
  const bool shared = row == raw && steps == kStepsPerNat;
  int64_t sum = 0;
  for (size_t start = 0; start < vocab; start += kChunk) {
    const size_t n = std::min(kChunk, vocab - start);
    int64_t part;
    if (shared) {
      part = p_->addAndSum(raw + start, n, rawTop, lanes);
    } else {
      p_->addWeights(raw + start, n, rawTop, lanes);
      part = p_->sum(row + start, n, top, steps);
    }
    chunkSums_.push_back(part);
    sum += part;
  }
  double left = uniform * static_cast<double>(sum);
  size_t chunk = 0;
  // All are whole numbers but the target, so no order of subtraction can matter: it's compared.
  int64_t passed = 0;
  while (chunk + 1 < chunkSums_.size() && static_cast<double>(passed + chunkSums_[chunk]) <= left) {
    passed += chunkSums_[chunk++];
  }
  const size_t start = chunk * kChunk;
  const size_t n = std::min(kChunk, vocab - start);
  weights_.resize(std::max(weights_.size(), kChunk));
  p_->store(row + start, n, top, steps, weights_.data());
  for (size_t i = 0; i < n; i++) {
    passed += weights_[i];
    if (static_cast<double>(passed) > left) return static_cast<int32_t>(start + i);
  }
  return static_cast<int32_t>(firstOf(top, row, vocab, cellTops_));
}

// Ids and whole weights of the tokens that min-p leaves in and that can be among the topK heaviest.
void Sampler::collect(const float* row, float top, size_t vocab, const Settings& settings) {
  const float steps = static_cast<float>(settings.steps);
  const size_t cells = (vocab + kCell - 1) / kCell;
  cellWeights_.resize(cells);
  p_->store(cellTops_.data(), cells, top, steps, cellWeights_.data());
  int32_t least = 1;
  if (settings.minWeight > 1) {
    least = static_cast<int32_t>(settings.minWeight);
    if (static_cast<double>(least) < settings.minWeight) least++;
  }
  if (settings.topK > 0 && settings.topK < static_cast<double>(vocab)) {
    least = std::max(least, cellCut(static_cast<size_t>(settings.topK)));
  }
  ids_.clear();
  size_t count = 0;
  int32_t inCell[kCell];
  for (size_t cell = 0; cell < cells; cell++) {
    if (cellWeights_[cell] < least) continue;
    const size_t start = cell * kCell;
    const size_t n = std::min(kCell, vocab - start);
    p_->store(row + start, n, top, steps, inCell);
    for (size_t i = 0; i < n; i++) {
      if (inCell[i] < least) continue;
      weights_[count++] = inCell[i];
      ids_.push_back(static_cast<int32_t>(start + i));
    }
  }
}

// A weight that at least topK tokens reach: that many stretches of the vocabulary have such a one.
int32_t Sampler::cellCut(size_t topK) {
  const size_t cells = cellWeights_.size();
  size_t span = 16;
  while (span > 1 && cells / span < 2 * topK) span /= 4;
  if (cells / span < topK) return 1;
  sorted_.clear();
  for (size_t start = 0; start < cells; start += span) {
    const auto begin = cellWeights_.begin() + static_cast<ptrdiff_t>(start);
    const auto end = cellWeights_.begin() + static_cast<ptrdiff_t>(std::min(cells, start + span));
    sorted_.push_back(*std::max_element(begin, end));
  }
  const auto nth = sorted_.begin() + static_cast<ptrdiff_t>(topK - 1);
  std::nth_element(sorted_.begin(), nth, sorted_.end(), std::greater<int32_t>());
  return std::max<int32_t>(1, *nth);
}

Sampler::Cut Sampler::byCount(const int32_t* weights, size_t count, size_t wanted) {
  sorted_.assign(weights, weights + count);
  const auto nth = sorted_.begin() + static_cast<ptrdiff_t>(wanted - 1);
  std::nth_element(sorted_.begin(), nth, sorted_.end(), std::greater<int32_t>());
  const int32_t weight = *nth;
  size_t heavier = 0;
  for (size_t i = 0; i < wanted; i++) heavier += sorted_[i] > weight;
  return {weight, wanted - heavier, 0, 0};
}

namespace {

// Weights of a bin share their leading one and the 6 bits below it; 0 goes with 1.
constexpr size_t kBins = 31 << 6;
constexpr uint32_t kFirstBin = 127u << 6;

inline size_t binOf(int32_t weight) {
  const float value = static_cast<float>(weight > 1 ? weight : 1);
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return (bits >> 17) - kFirstBin;
}

// The smallest weight of that bin or a later one: small weights leave bins empty. Conversion to float32
// rounds, so it may lie below the bin's start.
int32_t leastOf(size_t bin) {
  const uint32_t bits = static_cast<uint32_t>(bin + kFirstBin) << 17;
  float start;
  std::memcpy(&start, &bits, sizeof start);
  int32_t least = static_cast<int32_t>(std::ceil(start));
  while (least > 1 && binOf(least - 1) >= bin) least--;
  return least;
}

int32_t mostOf(size_t bin) { return bin + 1 < kBins ? leastOf(bin + 1) - 1 : kWhole; }

// Of so many weights one is looked at to guess where a sum is reached.
constexpr size_t kStride = 16;
constexpr size_t kGuessFrom = 16384;

struct Guess {
  int32_t least;
  int32_t most;
};

// A band of weights in which the sum from the heaviest on should reach `wanted`. The sum of those
// below is estimated from a sample, since no one of them can weigh much in it; 4 standard deviations
// of that to both sides.
Guess guessBand(const int32_t* weights, size_t count, double below) {
  struct Bin {
    double mass;
    double squares;
  };
  Bin bins[kBins] = {};
  for (size_t i = kStride / 2; i < count; i += kStride) {
    const double weight = weights[i];
    Bin& bin = bins[binOf(weights[i])];
    bin.mass += weight;
    bin.squares += weight * weight;
  }
  Guess guess = {1, kWhole};
  double mass = 0;
  double squares = 0;
  bool low = false;
  for (size_t bin = 0; bin < kBins; bin++) {
    mass += bins[bin].mass;
    squares += bins[bin].squares;
    const double margin = 4 * kStride * std::sqrt(squares);
    if (!low && kStride * mass + margin >= below) {
      guess.least = leastOf(bin);
      low = true;
    }
    if (kStride * mass - margin > below) {
      guess.most = mostOf(bin);
      break;
    }
  }
  return guess;
}

}  // namespace

// The fewest heaviest weights whose sum reaches `wanted`, but at least one.
Sampler::Cut Sampler::byMass(const int32_t* weights, size_t count, int64_t sum, double wanted) {
  if (count >= kGuessFrom) {
    const Guess guess = guessBand(weights, count, static_cast<double>(sum) - wanted);
    near_.resize(count + 8);
    int64_t above = 0;
    const size_t inside =
        p_->band(weights, count, guess.least, guess.most, near_.data(), &above);
    const int64_t reached = above + p_->sumAtLeast(near_.data(), inside, 1);
    const bool right = static_cast<double>(above) < wanted && static_cast<double>(reached) >= wanted;
    if (right) return byMassInBins(near_.data(), inside, wanted, above);
  }
  return byMassInBins(weights, count, wanted, 0);
}

Sampler::Cut Sampler::byMassInBins(const int32_t* weights, size_t count, double wanted,
                                   int64_t above) {
  band_.resize(count + 8);
  if (count <= 256) {
    std::copy(weights, weights + count, band_.begin());
    return byMassSorted(count, wanted, above);
  }
  int64_t mass[2][kBins] = {};
  size_t i = 0;
  for (; i + 2 <= count; i += 2) {
    mass[0][binOf(weights[i])] += weights[i];
    mass[1][binOf(weights[i + 1])] += weights[i + 1];
  }
  if (i < count) mass[0][binOf(weights[i])] += weights[i];
  size_t bin = kBins - 1;
  int64_t passed = above;
  for (; bin > 0; bin--) {
    const int64_t part = mass[0][bin] + mass[1][bin];
    if (part > 0 && static_cast<double>(passed + part) >= wanted) break;
    passed += part;
  }
  const size_t inside =
      p_->band(weights, count, leastOf(bin), mostOf(bin), band_.data(), &above);
  return byMassSorted(inside, wanted, above);
}

// The same for what the band holds.
Sampler::Cut Sampler::byMassSorted(size_t count, double wanted, int64_t above) {
  const auto begin = band_.begin();
  const auto end = begin + static_cast<ptrdiff_t>(count);
  const bool equal = std::all_of(begin, end, [&](int32_t weight) { return weight == *begin; });
  if (!equal) std::sort(begin, end, std::greater<int32_t>());
  int64_t reached = above;
  size_t rank = 0;
  while (rank < count && (reached == 0 || static_cast<double>(reached) < wanted)) {
    reached += band_[rank++];
  }
  const int32_t weight = band_[rank - 1];
  const auto first =
      std::lower_bound(begin, begin + static_cast<ptrdiff_t>(rank), weight, std::greater<int32_t>());
  const size_t ties = rank - static_cast<size_t>(first - begin);
  size_t allTies = ties;
  while (rank < count && band_[rank] == weight) rank++, allTies++;
  return {weight, ties, allTies, reached};
}

// The place of the token in which uniform * (sum of what is kept) falls.
size_t Sampler::drawKept(const int32_t* weights, size_t count, const Cut& cut, double uniform) {
  size_t tiesEnd = count;
  if (cut.ties < cut.allTies) {
    size_t ties = cut.ties;
    for (tiesEnd = 0; ties > 0; tiesEnd++) ties -= weights[tiesEnd] == cut.weight;
  }
  const double target = uniform * static_cast<double>(cut.sum);
  int64_t passed = 0;
  size_t last = 0;
  for (size_t start = 0; start < count;) {
    const size_t border = start < tiesEnd ? tiesEnd : count;
    const size_t n = std::min(kChunk, border - start);
    const int32_t least = start < tiesEnd ? cut.weight : cut.weight + 1;
    const int64_t part = p_->sumAtLeast(weights + start, n, least);
    if (static_cast<double>(passed + part) > target) {
      for (size_t i = start; i < start + n; i++) {
        if (weights[i] < least) continue;
        passed += weights[i];
        last = i;
        if (static_cast<double>(passed) > target) return i;
      }
    }
    passed += part;
    start += n;
  }
  return last;
}

}  // namespace steptree
