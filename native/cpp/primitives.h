// What the sampler does to whole stretches of logits, once per instruction set. Every set gives the
// same bits: native/weights.ts states the arithmetic, and its twin computes it.
#pragma once
#include <cstddef>
#include <cstdint>

namespace steptree {

// Tokens whose largest logit is noted, and tokens handled at once; a chunk is whole cells.
constexpr size_t kCell = 64;
constexpr size_t kChunk = 1024;

constexpr float kMaxSteps = 6553600.0f;
// 2^-f on [0, 1), times 2^30; f comes in steps of 2^-16.
constexpr float kUnit = 1073741824.0f;
constexpr float kPower[6] = {1.0f,
                             -0.6931434273719788f,
                             0.2401772290468216f,
                             -0.0552879199385643f,
                             0.00919379387050867f,
                             -0.000939659308642149f};
// Fall of 2^-f over one step.
constexpr float kFineSlope = 1.0564777767285705e-05f;
// Steps per nat at temperature 1.
constexpr float kStepsPerNat = 94548.4609375f;

struct Scan {
  float top;
  // Whether no logit is NaN and the largest is finite.
  bool usable;
};

struct Primitives {
  const char* name;
  // Largest logit, and the largest of each cell.
  Scan (*scan)(const float* x, size_t n, float* cellTops);
  // Adds the weights to the 8 lanes; stretches that follow each other begin at multiples of 32.
  void (*addWeights)(const float* x, size_t n, float top, double* lanes);
  // The same, and the sum of the whole weights beside it.
  int64_t (*addAndSum)(const float* x, size_t n, float top, double* lanes);
  // The same, and the whole weights themselves.
  int64_t (*addAndStore)(const float* x, size_t n, float top, double* lanes, int32_t* weights);
  // Sum of the whole weights at `steps` per nat.
  int64_t (*sum)(const float* x, size_t n, float top, float steps);
  int64_t (*store)(const float* x, size_t n, float top, float steps, int32_t* weights);
  // Sum of the weights that are at least `least`.
  int64_t (*sumAtLeast)(const int32_t* weights, size_t n, int32_t least);
  // Copies weights in [least, most] to `out`, which has room for n + 8, and says how many; adds the
  // greater ones to `above`.
  size_t (*band)(const int32_t* weights, size_t n, int32_t least, int32_t most, int32_t* out,
                 int64_t* above);
};

extern const Primitives kPortable;
#if defined(__x86_64__)
extern const Primitives kAvx2;
#endif

}  // namespace steptree
