/* The rows of the operation table that JavaScript does not have, or has otherwise.

   miniflow/program/javascript.py prints those that a program needs, and what they call. */

// --- arithmetic --------------------------------------------------------------------

function pow(a, b) {
    if (b === 2) return a * a;
    if (a === 1 || (a === -1 && Math.abs(b) === Infinity)) return 1; // JavaScript says NaN
    return Math.pow(a, b);
}

function fmod(a, b) {
    return a % b;
}

function mod(a, b) {
    const rest = a % b;
    if (rest === 0) return b < 0 || Object.is(b, -0) ? -0 : 0;
    return b < 0 !== rest < 0 ? rest + b : rest;
}

function floordiv(a, b) {
    const rest = a % b;
    if (b === 0) return a / b;
    const ratio = (a - rest) / b - (rest !== 0 && b < 0 !== rest < 0 ? 1 : 0);
    if (ratio === 0) return copysign(0, a / b);
    const low = Math.floor(ratio);
    return ratio - low > 0.5 ? low + 1 : low;
}

/* The rest by the nearest multiple, of two as near by the even one. */
function remainder(a, b) {
    const size = Math.abs(b);
    let rest = Math.abs(size < 2 ** 1023 ? a % (2 * size) : a);
    if (rest > size - rest || (rest > size && rest !== Infinity)) {
        rest -= size;
        if (rest >= size - rest) rest -= size;
    }
    if (!(size > 0) || Math.abs(a) === Infinity) return NaN;
    return copysign(rest, rest < 0 ? -copysign(1, a) : a);
}

/* A whole number and an exponent of 2 that are x. */
function decoded(x) {
    const bits = new BigUint64Array(new Float64Array([x]).buffer)[0];
    const exponent = Number((bits >> 52n) & 2047n);
    const digits = (bits & (2n ** 52n - 1n)) + (exponent ? 2n ** 52n : 0n);
    return [x < 0 ? -digits : digits, Math.max(exponent, 1) - 1075];
}

/* The whole number nearest to n / d, neither of them negative; of two as near the even one. */
function nearest(n, d) {
    const low = n / d;
    const over = 2n * (n - low * d) - d;
    return over > 0n || (over === 0n && low % 2n === 1n) ? low + 1n : low;
}

/* a * b + c, rounded once. */
function fma(a, b, c) {
    if (!Number.isFinite(a) || !Number.isFinite(b)) return a * b + c;
    if (!Number.isFinite(c)) return c;
    const [[m, i], [n, j], [s, k]] = [decoded(a), decoded(b), decoded(c)];
    const low = Math.min(i + j, k);
    const sum = ((m * n) << BigInt(i + j - low)) + (s << BigInt(k - low));
    if (sum === 0n) return a * b + c;
    const size = sum < 0n ? -sum : sum;
    const unit = Math.max(size.toString(2).length + low - 53, -1074); // of the last digit kept
    const digits = unit > low ? nearest(size, 1n << BigInt(unit - low)) : size;
    const exponent = Math.max(unit, low);
    const found = exponent > 1023 ? Infinity : Number(digits) * 2 ** exponent;
    return sum < 0n ? -found : found;
}

function copysign(a, b) {
    return b < 0 || Object.is(b, -0) ? -Math.abs(a) : Math.abs(a);
}

// --- steps -------------------------------------------------------------------------

/* The nearest whole number, of two as near the even one. */
function rint(x) {
    const size = Math.abs(x);
    return size < 2 ** 52 ? copysign(size + 2 ** 52 - 2 ** 52, x) : x;
}

/* x to so many decimals, rounded once. */
function round_to(x, digits) {
    const k = Math.trunc(digits);
    if (!Number.isFinite(x) || !Number.isFinite(digits) || k > 400) return x;
    if (k < -400) return copysign(0, x);
    const [m, e] = decoded(Math.abs(x));
    const n = m * 10n ** BigInt(Math.max(k, 0)) * 2n ** BigInt(Math.max(e, 0));
    const d = 10n ** BigInt(Math.max(-k, 0)) * 2n ** BigInt(Math.max(-e, 0));
    return copysign(Number(`${nearest(n, d)}e${-k}`), x);
}

// --- powers of 2 -------------------------------------------------------------------

function ldexp(x, i) {
    if (!Number.isFinite(i)) return x * 2 ** i;
    let n = Math.trunc(Math.max(-9999, Math.min(i, 9999)));
    while (n > 1023 && x !== 0 && Math.abs(x) !== Infinity) {
        x *= 2 ** 1023;
        n -= 1023;
    }
    // down to where digits are lost in one step, so that it is rounded once
    while (n < -969 && x !== 0) {
        const step = Math.max(n + 53, -969);
        x *= 2 ** step;
        n -= step;
        if (Math.abs(x) < 2 ** -1022) break;
    }
    return n < -1074 ? x * 2 ** -1074 : x * 2 ** Math.min(n, 1023);
}

function exp2(x) {
    return 2 ** x;
}

function exponent(x) {
    if (x === 0 || !Number.isFinite(x)) return 0;
    const [digits, unit] = decoded(x);
    return (digits < 0n ? -digits : digits).toString(2).length + unit;
}

function nextafter(a, b) {
    if (a === b || a !== a || b !== b) return a === b ? b : NaN;
    if (a === 0) return b < 0 ? -(2 ** -1074) : 2 ** -1074;
    const number = new Float64Array([a]);
    new BigInt64Array(number.buffer)[0] += b > a === a > 0 ? 1n : -1n;
    return number[0];
}

// --- the normal distribution and the gamma function --------------------------------

/* exp(-x * x): what the square loses when it is rounded is computed, and put back. */
function decay(x) {
    const high = 134217729 * x - (134217729 * x - x);
    const low = x - high;
    const square = x * x;
    const main = Math.exp(-square);
    return main - main * (high * high - square + 2 * high * low + low * low);
}

/* Abramowitz & Stegun, 7.1.6: a sum of numbers of one sign. */
function erf(x) {
    if (Math.abs(x) > 1) return x > 0 ? 1 - erfc(x) : erfc(-x) - 1;
    let term = x;
    let sum = x;
    for (let k = 1; k < 24; k++) {
        term *= (2 * x * x) / (2 * k + 1);
        sum += term;
    }
    return 1.1283791670955126 * sum * decay(x);
}

/* (1 + 2x) exp(x^2) erfc(x) as a series of Chebyshev's polynomials, after Shepherd & Laframboise,
   Mathematics of Computation 36 (1981); the coefficients were computed with 40 digits. */
function erfc(x) {
    if (x < 0.5) return x < -1 ? 2 - erfc(-x) : 1 - erf(x);
    if (!(x < 28)) return x > 0 ? 0 : x;
    const series = [
        1.1775789345674017, -0.004590054580646478, -0.08424913336651792, 0.05920993999819189,
        -0.026658668435305753, 0.009074997670705265, -0.002413163540417608, 0.0004907758365258086,
        -6.916973302501207e-5, 4.13902798607301e-6, 7.74038306619849e-7, -2.1886401049234397e-7,
        1.076499946567091e-8, 4.521959811218287e-9, -7.754400208831351e-10, -6.318088340886684e-11,
        2.86879501093067e-11, 1.9455868545777347e-13, -9.65469674843344e-13, 3.25254814814874e-14,
        3.3478119482868056e-14, -1.864562880419313e-15, -1.2507950530688648e-15,
        7.418235256624044e-17, 5.068148904796111e-17,
    ];
    const t = (x - 3.75) / (x + 3.75);
    let [a, b] = [0, 0];
    for (let k = series.length - 1; k > 0; k--) [a, b] = [series[k] + 2 * t * a - b, a];
    return ((series[0] + t * a - b) / (1 + 2 * x)) * decay(x);
}

/* Lanczos's sum for g = 6.0246800407767296, a quotient of polynomials. */
function lanczos(x) {
    const above = [
        23531376880.41076, 42919803642.6491, 35711959237.35567, 17921034426.03721,
        6039542586.352028, 1439720407.3117216, 248874557.86205417, 31426415.585400194, 2876370.6289353725,
        186056.26539522348, 8071.672002365816, 210.82427775157935, 2.5066282746310002,
    ];
    const below = [
        0, 39916800, 120543840, 150917976, 105258076, 45995730, 13339535, 2637558, 357423, 32670,
        1925, 66, 1,
    ];
    let [a, b] = [0, 0];
    for (let k = 0; k < 13; k++) {
        const place = x < 5 ? 12 - k : k;
        const factor = x < 5 ? x : 1 / x;
        [a, b] = [a * factor + above[place], b * factor + below[place]];
    }
    return a / b;
}

/* The sine of pi * x, whose zeros are exact. */
function sinpi(x) {
    const y = Math.abs(x) % 2;
    const quarter = Math.round(2 * y);
    const part = Math.PI * (y - quarter / 2);
    const size = quarter % 2 ? Math.cos(part) : Math.sin(part);
    return quarter === 2 || quarter === 3 ? -size : size;
}

/* Lanczos's approximation, SIAM Journal on Numerical Analysis B 1 (1964). */
function gamma(x) {
    const size = Math.abs(x);
    if (x === 0) return 1 / x;
    if (x !== x || x === -Infinity || (x < 0 && x === Math.floor(x))) return NaN;
    if (size < 1e-20) return 1 / x;
    if (size > 200) return x > 0 ? Infinity : 0 / -sinpi(size);
    if (x === Math.floor(x) && x < 24) {
        let product = 1;
        for (let k = 2; k < x; k++) product *= k;
        return product;
    }
    const y = size + 5.52468004077673;
    const long = Math.max(size, 5.52468004077673);
    const short = Math.min(size, 5.52468004077673);
    const lost = ((y - long - short) * 6.02468004077673) / y;
    const half = Math.pow(y, size / 2 - 0.25);
    if (x > 0) {
        const found = lanczos(size) / Math.exp(y);
        return (found + lost * found) * half * half;
    }
    const found = ((-Math.PI / sinpi(size) / size) * Math.exp(y)) / lanczos(size);
    return (found - lost * found) / half / half;
}

function lgamma(x) {
    const size = Math.abs(x);
    if (size === Infinity || x !== x) return size;
    if (x === Math.floor(x) && x <= 2) return x <= 0 ? Infinity : 0;
    if (size < 1e-20) return -Math.log(size);
    const found =
        Math.log(lanczos(size)) -
        6.02468004077673 +
        (size - 0.5) * (Math.log(size + 5.52468004077673) - 1);
    if (x > 0) return found;
    return Math.log(Math.PI) - Math.log(Math.abs(sinpi(size))) - Math.log(size) - found;
}

// --- any number of operands --------------------------------------------------------

/* The sum, rounded once: Shewchuk, Discrete & Computational Geometry 18 (1997). */
function fsum(...xs) {
    const parts = [];
    for (const term of xs) {
        let x = term;
        let count = 0;
        for (let y of parts) {
            if (Math.abs(x) < Math.abs(y)) [x, y] = [y, x];
            const high = x + y;
            const low = y - (high - x);
            if (low !== 0) parts[count++] = low;
            x = high;
        }
        if (!Number.isFinite(x)) return xs.reduce((sum, one) => sum + one);
        parts.length = count;
        if (x !== 0) parts.push(x);
    }
    let sum = parts.pop() ?? 0;
    while (parts.length) {
        const x = sum;
        const y = parts.pop();
        sum = x + y;
        const low = y - (sum - x);
        if (low === 0) continue;
        const rest = parts.pop() ?? 0;
        // half of the last digit, and more behind it: to the other side
        if (low < 0 === rest < 0 && rest !== 0 && 2 * low === sum + 2 * low - sum) sum += 2 * low;
        break;
    }
    return sum;
}

function max_of(...xs) {
    return xs.reduce((y, x) => (y >= x || y !== y ? y : x));
}

function min_of(...xs) {
    return xs.reduce((y, x) => (y <= x || y !== y ? y : x));
}

function tally(x, ...xs) {
    return xs.filter((other) => other === x).length;
}

function take(i, ...xs) {
    if (i !== i || xs.length === 0) return NaN;
    return xs[Math.trunc(Math.max(0, Math.min(i, xs.length - 1)))];
}
