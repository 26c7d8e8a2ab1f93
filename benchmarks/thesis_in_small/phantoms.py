"""Write the phantom scans on which the thesis is repeated in small.

    python benchmarks/thesis_in_small/phantoms.py OUT

75 cases as training data, of which the thesis' recipe keeps 60 to train and 15 to validate, and 24 as validation
data, which the recipe sets aside as ``test``; these keep their masks, so that they can be scored.
"""

import sys

from equireg.phantom import PhantomConfig, write_dataset

if __name__ == "__main__":
    print(write_dataset(sys.argv[1], PhantomConfig(cases=75, held_out=24, seed=2019)))
