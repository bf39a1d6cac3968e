"""The parts of gp_co2.py: Gaussian-process regression with a tiled Cholesky factorisation.

data        where the numbers come from: a CSV file, or draws from the kernel
kernel      the covariance function and its published parameters
blas        four BLAS and LAPACK routines on tiles, in place, with the GIL released
blas_cuda   the same on tiles of CuPy
cholesky    the factorisation as a task graph over the blocks of a CrossPy array
solve       triangular solves as task graphs
predict     predictive mean and variance, log marginal likelihood
ranks       the ranks that run the program together
pipeline    the phases in order, timed
reference   the same model in plain NumPy and SciPy
report      what is printed
plot        the picture
"""
