"""The tutorial's sweep, for comparison: Hydra's Optuna sweeper, one process, SB3's callback for evaluation.

Install requirements.lock and then hydra-optuna-sweeper, which needs Optuna 2, in a separate environment. Then run
python benchmarks/tutorial.py --multirun
"""

from pathlib import Path

import hydra
import numpy as np
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from stable_baselines3 import DDPG
from stable_baselines3.common.callbacks import EvalCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.noise import NormalActionNoise

N_ENVS, EVAL_FREQ = 8, 2000


@hydra.main(config_path=".", config_name="tutorial", version_base="1.3")
def main(config: DictConfig) -> float:
    output = Path(HydraConfig.get().runtime.output_dir)
    env = make_vec_env("Pendulum-v1", n_envs=N_ENVS, seed=config.seed)
    evaluation_env = make_vec_env("Pendulum-v1", seed=config.seed)
    callback = EvalCallback(
        evaluation_env, n_eval_episodes=10, eval_freq=EVAL_FREQ // N_ENVS, best_model_save_path=str(output), verbose=0
    )
    model = DDPG(
        "MlpPolicy",
        env,
        learning_rate=config.learning_rate,
        batch_size=32,
        gamma=config.gamma,
        tau=config.tau,
        action_noise=NormalActionNoise(np.zeros(1), np.full(1, config.noise_std)),
        gradient_steps=-1,
        policy_kwargs={"net_arch": [64, 32]},
        tensorboard_log=str(output),
        seed=config.seed,
    )
    model.learn(config.total_timesteps, callback=callback)
    return float(callback.best_mean_reward)


if __name__ == "__main__":
    main()
