"""Makes a model of SB3 spend less around its networks, with the same updates: only fused Adam rounds otherwise."""

from collections.abc import Iterator

import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from torch import nn

_FUSABLE = (torch.optim.Adam, torch.optim.AdamW)
# Networks that have a target network, which each update makes follow them.
_FOLLOWED = ("actor", "critic", "q_net", "quantile_net")


def make_fast(model: BaseAlgorithm) -> None:
    """Change a model that is not yet trained: optimizers update all parameters in one call, and networks look their
    parameters up once, not at each update of a target network."""
    optimizers = [getattr(module, "optimizer", None) for module in model.policy.modules()]
    for optimizer in [*optimizers, getattr(model, "ent_coef_optimizer", None)]:
        if isinstance(optimizer, _FUSABLE):
            for group in optimizer.param_groups:
                group.update(fused=True, foreach=False)
    for name in _FOLLOWED:
        network, target = getattr(model.policy, name, None), getattr(model.policy, f"{name}_target", None)
        if isinstance(network, nn.Module) and isinstance(target, nn.Module):
            _remember_parameters(network)
            _remember_parameters(target)


def _remember_parameters(network: nn.Module) -> None:
    remembered, look_up = list(network.parameters()), network.parameters

    def parameters(recurse: bool = True) -> Iterator[nn.Parameter]:
        return iter(remembered) if recurse else look_up(recurse)

    network.parameters = parameters  # type: ignore[method-assign]
