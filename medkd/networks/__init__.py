"""Networks are MONAI's; here is what medkd adds round them."""

from medkd.networks.weights import (
    check_state,
    load_state,
    load_weights,
    save_state,
    save_weights,
)

__all__ = ["check_state", "load_state", "load_weights", "save_state", "save_weights"]
