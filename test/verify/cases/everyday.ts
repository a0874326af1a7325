import type { CaseTable } from './table.js';

/** How people and models write down the same thing every day, one category a slip that the rules once made. */
export const everydayCases: CaseTable = {
  'raised and lowered characters': {
    equal: [
      ['10⁻⁵', '0.00001'],
      ['3.2×10⁻⁵', '0.000032'],
      ['2¹⁰', '1024'],
      ['10²³', '1e23'],
      ['x¹²', 'x^{12}'],
      ['x⁻¹', '1/x'],
      ['a₁₂', 'a_{12}'],
      ['eˣ', 'e^x'],
      ['2ⁿ⁺¹', '2^{n+1}'],
      ['³⁄₄', '3/4'],
      ['1³⁄₄', '1.75'],
      ['5 cm²', '5 \\text{ cm}^2'],
    ],
    different: [
      ['10²³', '10^8'],
      ['2¹⁰', '2'],
      ['x¹²', 'x^2'],
      ['a₁₂', 'a_1'],
    ],
  },
  'spaces, fonts and fractions of TeX': {
    equal: [
      ['12 \\mathrm{~cm}^{2}', '12 square centimeters'],
      ['\\frac{1}{2} \\mathrm{~m}', '0.5 m'],
      ['(1,~2)', '(1,2)'],
      ['5~\\text{cm}', '5 cm'],
      ['~5', '5'],
      ['e^2', '\\mathrm e^2'],
      ['\\nicefrac{1}{2}', '0.5'],
      ['{1 \\over 2}', '1/2'],
      ['{x+1 \\over 2}', '\\frac{x+1}{2}'],
      ['30^o', '30°'],
      ['30^{\\text{o}}', '30°'],
      ['3 ∶ 4', '3:4'],
    ],
    different: [
      ['12 \\mathrm{~cm}', '12 \\mathrm{~m}'],
      ['{1 \\over 2}', '2'],
    ],
  },
  'the letter x as a times sign': {
    equal: [
      ['3.2 x 10^5', '320000'],
      ['3.2X10^5', '3.2 \\times 10^5'],
      ['1.6 x 10^-19', '1.6\\times10^{-19}'],
    ],
    different: [
      ['3.2 x 10^5', '3.2 x 10^6'],
      ['2x + 10^2', '2*10^2'],
    ],
  },
  'negative powers without braces': {
    equal: [
      ['2^-10', '\\frac{1}{1024}'],
      ['x^-12', '\\frac{1}{x^{12}}'],
    ],
    different: [
      ['10^-12', '0.2'],
      ['10^-19', '10^-18'],
    ],
  },
};
