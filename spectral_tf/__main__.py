"""`python -m spectral_tf`: the program `spectral-tf`."""

import sys

from spectral_tf.apps.cli import main

sys.exit(main())
