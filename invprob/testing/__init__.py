"""Checks that authors of operators and priors run on their own classes."""

from invprob.testing.dense_matrix import dense as dense
from invprob.testing.operators import check_operator as check_operator
from invprob.testing.operators import examine_operator as examine_operator
from invprob.testing.priors import check_prior as check_prior
