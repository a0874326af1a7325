// The primitives for x86-64 with AVX2 and FMA. This file alone is compiled for them, and so that no
// inline function of the standard library is, it uses none.
#if defined(__x86_64__)
#include <immintrin.h>

#include "primitives.h"

namespace steptree {
namespace {

// f is read in steps of 2^-16, so that the coefficients take up the scale; powers of two are exact.
constexpr float scaled(int i) {
  float value = kPower[i] * kUnit;
  for (int k = 0; k < i; k++) value *= 1.0f / 65536;
  return value;
}

inline __m256i stepsOf(__m256 x, __m256 top, __m256 steps) {
  // NaN (infinity times 0) gives the second operand.
  const __m256 drop =
      _mm256_min_ps(_mm256_mul_ps(_mm256_sub_ps(top, x), steps), _mm256_set1_ps(kMaxSteps));
  return _mm256_cvtps_epi32(drop);
}

inline __m256 weightOf(__m256i k) {
  const __m256 f = _mm256_cvtepi32_ps(_mm256_and_si256(k, _mm256_set1_epi32(0xff00)));
  const __m256 b = _mm256_cvtepi32_ps(_mm256_and_si256(k, _mm256_set1_epi32(0xff)));
  __m256 power = _mm256_set1_ps(scaled(5));
  power = _mm256_fmadd_ps(power, f, _mm256_set1_ps(scaled(4)));
  power = _mm256_fmadd_ps(power, f, _mm256_set1_ps(scaled(3)));
  power = _mm256_fmadd_ps(power, f, _mm256_set1_ps(scaled(2)));
  power = _mm256_fmadd_ps(power, f, _mm256_set1_ps(scaled(1)));
  power = _mm256_fmadd_ps(power, f, _mm256_set1_ps(scaled(0)));
  const __m256 fine = _mm256_fnmadd_ps(b, _mm256_set1_ps(kFineSlope), _mm256_set1_ps(1.0f));
  const __m256 product = _mm256_mul_ps(power, fine);
  const __m256i halvings =
      _mm256_slli_epi32(_mm256_andnot_si256(_mm256_set1_epi32(0xffff), k), 7);
  return _mm256_castsi256_ps(_mm256_sub_epi32(_mm256_castps_si256(product), halvings));
}

inline __m256i addHalves(__m256i total, __m256i pairs) {
  const __m256i low = _mm256_and_si256(pairs, _mm256_set1_epi64x(0xffffffff));
  return _mm256_add_epi64(total, _mm256_add_epi64(low, _mm256_srli_epi64(pairs, 32)));
}

inline int64_t across(__m256i total) {
  alignas(32) int64_t parts[4];
  _mm256_store_si256(reinterpret_cast<__m256i*>(parts), total);
  return parts[0] + parts[1] + parts[2] + parts[3];
}

template <bool kLanes, bool kSum, bool kStore>
int64_t weigh(const float* x, size_t n, float top, float steps, double* lanes, int32_t* weights) {
  const __m256 tops = _mm256_set1_ps(top);
  const __m256 scale = _mm256_set1_ps(steps);
  __m256d lane0 = _mm256_setzero_pd();
  __m256d lane4 = _mm256_setzero_pd();
  if (kLanes) {
    lane0 = _mm256_loadu_pd(lanes);
    lane4 = _mm256_loadu_pd(lanes + 4);
  }
  __m256i total = _mm256_setzero_si256();
  size_t start = 0;
  const auto group = [&](__m256 w0, __m256 w1, __m256 w2, __m256 w3, int32_t* out) {
    if (kLanes) {
      const __m256 q = _mm256_add_ps(_mm256_add_ps(w0, w1), _mm256_add_ps(w2, w3));
      lane0 = _mm256_add_pd(lane0, _mm256_cvtps_pd(_mm256_castps256_ps128(q)));
      lane4 = _mm256_add_pd(lane4, _mm256_cvtps_pd(_mm256_extractf128_ps(q, 1)));
    }
    if (kSum || kStore) {
      const __m256i i0 = _mm256_cvtps_epi32(w0), i1 = _mm256_cvtps_epi32(w1);
      const __m256i i2 = _mm256_cvtps_epi32(w2), i3 = _mm256_cvtps_epi32(w3);
      // Two weights of at most 2^30 fit 32 bits without a sign.
      if (kSum) total = addHalves(addHalves(total, _mm256_add_epi32(i0, i1)), _mm256_add_epi32(i2, i3));
      if (kStore) {
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), i0);
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + 8), i1);
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + 16), i2);
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + 24), i3);
      }
    }
  };
  for (; start + 32 <= n; start += 32) {
    const float* p = x + start;
    group(weightOf(stepsOf(_mm256_loadu_ps(p), tops, scale)),
          weightOf(stepsOf(_mm256_loadu_ps(p + 8), tops, scale)),
          weightOf(stepsOf(_mm256_loadu_ps(p + 16), tops, scale)),
          weightOf(stepsOf(_mm256_loadu_ps(p + 24), tops, scale)),
          kStore ? weights + start : nullptr);
  }
  if (start < n) {
    alignas(32) float w[32] = {};
    alignas(32) int32_t whole[32];
    for (size_t i = start; i < n; i++) w[i - start] = x[i];
    for (int i = 0; i < 32; i += 8) {
      _mm256_store_ps(w + i, weightOf(stepsOf(_mm256_load_ps(w + i), tops, scale)));
    }
    for (size_t i = n - start; i < 32; i++) w[i] = 0;
    group(_mm256_load_ps(w), _mm256_load_ps(w + 8), _mm256_load_ps(w + 16), _mm256_load_ps(w + 24),
          whole);
    if (kStore) {
      for (size_t i = start; i < n; i++) weights[i] = whole[i - start];
    }
  }
  if (kLanes) {
    _mm256_storeu_pd(lanes, lane0);
    _mm256_storeu_pd(lanes + 4, lane4);
  }
  return across(total);
}

inline float greatest(__m256 v) {
  __m128 m = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  m = _mm_max_ps(m, _mm_movehl_ps(m, m));
  return _mm_cvtss_f32(_mm_max_ss(m, _mm_movehdup_ps(m)));
}

Scan scan(const float* x, size_t n, float* cellTops) {
  const float least = -__builtin_inff();
  __m256 all = _mm256_set1_ps(least);
  __m256 nans = _mm256_setzero_ps();
  size_t start = 0;
  size_t cell = 0;
  for (; start + kCell <= n; start += kCell, cell++) {
    __m256 v[8];
    for (int i = 0; i < 8; i++) v[i] = _mm256_loadu_ps(x + start + 8 * i);
    for (int i = 0; i < 8; i += 2) {
      nans = _mm256_or_ps(nans, _mm256_cmp_ps(v[i], v[i + 1], _CMP_UNORD_Q));
    }
    const __m256 best = _mm256_max_ps(
        _mm256_max_ps(_mm256_max_ps(v[0], v[1]), _mm256_max_ps(v[2], v[3])),
        _mm256_max_ps(_mm256_max_ps(v[4], v[5]), _mm256_max_ps(v[6], v[7])));
    cellTops[cell] = greatest(best);
    all = _mm256_max_ps(all, best);
  }
  float top = greatest(all);
  bool numbers = _mm256_movemask_ps(nans) == 0;
  if (start < n) {
    float best = least;
    for (; start < n; start++) {
      numbers &= x[start] == x[start];
      best = x[start] > best ? x[start] : best;
    }
    cellTops[cell] = best;
    top = best > top ? best : top;
  }
  return {top, numbers && __builtin_isfinite(top)};
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

inline __m256i load(const int32_t* p) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}

int64_t sumAtLeast(const int32_t* weights, size_t n, int32_t least) {
  const __m256i below = _mm256_set1_epi32(least - 1);
  __m256i total = _mm256_setzero_si256();
  size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const __m256i w = load(weights + i);
    total = addHalves(total, _mm256_and_si256(w, _mm256_cmpgt_epi32(w, below)));
  }
  int64_t rest = 0;
  for (; i < n; i++) rest += weights[i] >= least ? weights[i] : 0;
  return across(total) + rest;
}

// Which lanes a mask of 8 bits picks, packed to the front.
struct PackTable {
  alignas(32) int32_t lanes[256][8];
  constexpr PackTable() : lanes() {
    for (int mask = 0; mask < 256; mask++) {
      int count = 0;
      for (int lane = 0; lane < 8; lane++) {
        if ((mask >> lane) & 1) lanes[mask][count++] = lane;
      }
    }
  }
};
constexpr PackTable kPack;

size_t band(const int32_t* weights, size_t n, int32_t least, int32_t most, int32_t* out,
            int64_t* above) {
  const __m256i low = _mm256_set1_epi32(least - 1);
  const __m256i high = _mm256_set1_epi32(most);
  __m256i total = _mm256_setzero_si256();
  size_t count = 0;
  size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const __m256i w = load(weights + i);
    const __m256i greater = _mm256_cmpgt_epi32(w, high);
    total = addHalves(total, _mm256_and_si256(w, greater));
    const __m256i inside = _mm256_andnot_si256(greater, _mm256_cmpgt_epi32(w, low));
    const int mask = _mm256_movemask_ps(_mm256_castsi256_ps(inside));
    const __m256i packed = _mm256_permutevar8x32_epi32(w, load(kPack.lanes[mask]));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + count), packed);
    count += static_cast<size_t>(__builtin_popcount(static_cast<unsigned>(mask)));
  }
  int64_t heavier = across(total);
  for (; i < n; i++) {
    heavier += weights[i] > most ? weights[i] : 0;
    out[count] = weights[i];
    count += weights[i] >= least && weights[i] <= most;
  }
  *above += heavier;
  return count;
}

}  // namespace

const Primitives kAvx2 = {"avx2", scan, addWeights, addAndSum, addAndStore, sum,
                          store,  sumAtLeast, band};

}  // namespace steptree
#endif
