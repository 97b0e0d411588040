"""What every module of the networks is."""

from typing import Any

import flax.linen as nn


class Module(nn.Module):
    """A Flax module that takes parameters as they are, where there are any.

    Flax (0.12.8) traces every initialiser in every trace of `apply`, to compare its
    shape with that of the parameter (`findings/flax_apply_calls_initialisers.sh`): of
    these networks' initialisers, which are identities with patches, that was most of
    the time to trace a forward pass. `check_params` has compared all of them by then,
    against shapes that are traced once.
    """

    @nn.nowrap
    def param(self, name: str, *args: Any, **options: Any) -> Any:
        """The parameter `name`, initialised only where it is not given."""
        if self.has_variable("params", name):
            return self.get_variable("params", name)
        return super().param(name, *args, **options)
