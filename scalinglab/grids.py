"""Grids of budgets."""
import numpy as np
def doublings(most):
    return np.array([2**i for i in range(int(most).bit_length())], dtype=np.int64)
