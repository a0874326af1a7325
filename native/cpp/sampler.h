// One token per row of logits, by the rule of native/sampling.ts.
#pragma once
#include <vector>

#include "primitives.h"

namespace steptree {

// How a row is drawn from; the fields of a row of `settings` in native/kernels.ts.
struct Settings {
  double steps;    // per nat, at the temperature; 0 is greedy
  double topK;     // 0 is off
  double topP;     // from 1 on off
  double minWeight;
  double penalty;  // 1 is off
  double uniform;
};

struct Drawn {
  int32_t token;
  // Logit of the token less the largest one, and the sum of all weights in units of the largest.
  double rise;
  double sum;
};

// Holds scratch space, so one per thread.
class Sampler {
 public:
  explicit Sampler(const Primitives* primitives) : p_(primitives) {}
  const Primitives& primitives() const { return *p_; }
  void use(const Primitives* primitives) { p_ = primitives; }

  // False for a row that holds NaN or whose largest logit is not finite.
  bool sample(const float* logits, size_t vocab, const Settings& settings, const uint8_t* seen,
              Drawn* out);
  // The part of a log-softmax that doesn't depend on the token.
  bool sumWeights(const float* logits, size_t vocab, float* top, double* sum);

 private:
  struct Cut;
  int32_t draw(const float* raw, float rawTop, const float* row, float top, size_t vocab,
               const Settings& settings, double* lanes);
  int32_t drawFromAll(const float* raw, float rawTop, const float* row, float top, size_t vocab,
                      float steps, double uniform, double* lanes);
  void collect(const float* row, float top, size_t vocab, const Settings& settings);
  int32_t cellCut(size_t topK);
  Cut byCount(const int32_t* weights, size_t count, size_t wanted);
  Cut byMass(const int32_t* weights, size_t count, int64_t sum, double wanted);
  Cut byMassInBins(const int32_t* weights, size_t count, double wanted, int64_t above);
  Cut byMassSorted(size_t count, double wanted, int64_t above);
  size_t drawKept(const int32_t* weights, size_t count, const Cut& cut, double uniform);
  const float* penalise(const float* logits, size_t vocab, const uint8_t* seen, double penalty);

  const Primitives* p_;
  std::vector<float> cellTops_;
  std::vector<float> penalised_;
  std::vector<int32_t> cellWeights_;
  std::vector<int32_t> weights_;
  std::vector<int32_t> ids_;
  std::vector<int32_t> band_;
  std::vector<int32_t> near_;
  std::vector<int32_t> sorted_;
  std::vector<int64_t> chunkSums_;
};

}  // namespace steptree
