r"""The relatives of the VAE as recipes.

Binarised MNIST, on which VAEs are compared in nats, needs pictures of 28 pixels and one of the
draws of `data.binarise`. With M for a folder that holds MNIST's train.parquet and test.parquet:

    ganvas train vae --data M/train.parquet --resolution 28 --images 30000000 --out vae-mnist \
        --set data.binarise=true --set data.held_out=0 --set training.batch=128 \
        --set training.score_every=0 --set model.likelihood=bernoulli --set model.networks=mlp \
        --set "model.hidden=[400]" --set model.latent_size=40 \
        --set "model.optimizer.learning_rate={start: 0.001, end: 0}"
    ganvas train iwae --data M/train.parquet --resolution 28 --out iwae-mnist \
        --set data.binarise=true --set data.held_out=0 --set training.score_every=0 \
        --set training.precision=bfloat16
    ganvas evaluate RUN --against M/test.parquet -n 10000 --likelihood-pictures 10000

The first is to reach 89.9 nats (Rezende & Mohamed 2015; these networks and latents are those with
which pythae reports 89.78). It came to 90.6 (90.1 to 91.0; seed 0): a bound of 92.6 in training and
of 95.5 on test pictures tells of overfitting. The second is to reach 87.1 (Burda et al. 2016,
appendix: k = 50, one layer, fixed binarisation); it has not been trained to the end. One core of an
EPYC takes 8 ms for a step of the first (float32) and 39 ms for one of the second: about half an
hour and an hour.
"""

from ganvas.models.phase import Adam
from ganvas.models.schedule import Schedule
from ganvas.models.vae_config import VaeConfig
from ganvas.recipes.recipe import Recipe
from ganvas.training.config import TrainingConfig

VARIATIONAL_RECIPES = (
    Recipe(
        "beta-vae",
        "Higgins et al., beta-VAE: Learning Basic Visual Concepts with a Constrained Variational "
        "Framework",
        2017,
        "a heavier KL term: fewer latents, each for one thing, at the price of sharpness",
        # Table 1 (2D shapes): ten latents, Bernoulli, beta = 4. The warm-up is not the paper's:
        # it keeps the latents from being given up before the decoder can use them.
        VaeConfig(
            likelihood="bernoulli",
            latent_size=10,
            beta=Schedule(start=0, end=4, until=0.1),
        ),
        TrainingConfig(images=100_000),
    ),
    Recipe(
        "iwae",
        "Burda, Grosse & Salakhutdinov, Importance Weighted Autoencoders",
        2016,
        "a tighter bound from 50 samples of each picture: more latents in use",
        # Section 5: two layers of 200 units, 50 latents, Adam with eps = 1e-4 from 1e-3 down to
        # 1e-4, batches of 20, 164 million images. Here the batch is larger and the training
        # shorter, with a rate that falls to zero; ReLU in place of tanh.
        VaeConfig(
            networks="mlp",
            hidden=(200, 200),
            latent_size=50,
            likelihood="bernoulli",
            importance_samples=50,
            optimizer=Adam(learning_rate=Schedule(start=1e-3, end=0), eps=1e-4),
        ),
        TrainingConfig(images=10_000_000, batch=100),
    ),
)
