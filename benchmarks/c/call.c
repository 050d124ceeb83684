/* The smallest function, to measure a call. */
double f(double x, double y) { return x * y + x; }
