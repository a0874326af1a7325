// The primitives in plain C++. A fused multiply-add is written as a product and sum in double, which
// are exact here: f has 16 bits, everything else 24, and their exponents lie close.
#include <cmath>
#include <cstring>
#include <limits>

#include "primitives.h"

namespace steptree {
namespace {

inline int32_t nearest(double value) {
  // Ties to even, without asking the rounding mode.
  constexpr double magic = 6755399441055744.0;
  return static_cast<int32_t>((value + magic) - magic);
}

inline float weightOf(float x, float top, float steps) {
  const float drop = (top - x) * steps;
  const int32_t k = nearest(drop < kMaxSteps ? drop : kMaxSteps);
  const double f = static_cast<double>((k >> 8) & 255) / 256;
  float power = kPower[5];
  for (int i = 4; i >= 0; i--) power = static_cast<float>(power * f + kPower[i]);
  const float fine = static_cast<float>(1.0 - (k & 255) * static_cast<double>(kFineSlope));
  // 2^30 halved k >> 16 times, by its bits.
  const uint32_t bits = static_cast<uint32_t>(157 - (k >> 16)) << 23;
  float scale;
  std::memcpy(&scale, &bits, sizeof scale);
  return (power * fine) * scale;
}

template <bool kLanes, bool kSum, bool kStore>
int64_t weigh(const float* x, size_t n, float top, float steps, double* lanes, int32_t* weights) {
  int64_t total = 0;
  for (size_t start = 0; start < n; start += 32) {
    float w[32] = {};
    const size_t count = n - start < 32 ? n - start : 32;
    for (size_t i = 0; i < count; i++) w[i] = weightOf(x[start + i], top, steps);
    if (kLanes) {
      for (int l = 0; l < 8; l++) lanes[l] += (w[l] + w[l + 8]) + (w[l + 16] + w[l + 24]);
    }
    if (kSum || kStore) {
      for (size_t i = 0; i < count; i++) {
        const int32_t whole = nearest(w[i]);
        if (kStore) weights[start + i] = whole;
        total += whole;
      }
    }
  }
  return total;
}

Scan scan(const float* x, size_t n, float* cellTops) {
  float top = -std::numeric_limits<float>::infinity();
  bool numbers = true;
  for (size_t start = 0, cell = 0; start < n; start += kCell, cell++) {
    const size_t end = n - start < kCell ? n : start + kCell;
    float best = -std::numeric_limits<float>::infinity();
    for (size_t i = start; i < end; i++) {
      numbers &= x[i] == x[i];
      best = x[i] > best ? x[i] : best;
    }
    cellTops[cell] = best;
    top = best > top ? best : top;
  }
  return {top, numbers && std::isfinite(top)};
}

void addWeights(const float* x, size_t n, float top, double* lanes) {
  weigh<true, false, false>(x, n, top, kStepsPerNat, lanes, nullptr);
}
int64_t addAndSum(const float* x, size_t n, float top, double* lanes) {
  return weigh<true, true, false>(x, n, top, kStepsPerNat, lanes, nullptr);
}
int64_t addAndStore(const float* x, size_t n, float top, double* lanes, int32_t* weights) {
  return weigh<true, true, true>(x, n, top, kStepsPerNat, lanes, weights);
}
int64_t sum(const float* x, size_t n, float top, float steps) {
  return weigh<false, true, false>(x, n, top, steps, nullptr, nullptr);
}
int64_t store(const float* x, size_t n, float top, float steps, int32_t* weights) {
  return weigh<false, true, true>(x, n, top, steps, nullptr, weights);
}

int64_t sumAtLeast(const int32_t* weights, size_t n, int32_t least) {
  int64_t total = 0;
  for (size_t i = 0; i < n; i++) total += weights[i] >= least ? weights[i] : 0;
  return total;
}

size_t band(const int32_t* weights, size_t n, int32_t least, int32_t most, int32_t* out,
            int64_t* above) {
  size_t count = 0;
  int64_t heavier = 0;
  for (size_t i = 0; i < n; i++) {
    const int32_t weight = weights[i];
    heavier += weight > most ? weight : 0;
    out[count] = weight;
    count += weight >= least && weight <= most;
  }
  *above += heavier;
  return count;
}

}  // namespace

const Primitives kPortable = {"portable",  scan, addWeights, addAndSum, addAndStore, sum,
                              store,       sumAtLeast, band};

}  // namespace steptree
