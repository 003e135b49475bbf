"""Augmentation of a discriminator's images, so that few of them are enough to train on."""

from .ada import BGC as BGC
from .ada import Ada as Ada
from .ada import Group as Group
from .chance import Random as Random
from .diffaugment import POLICY as POLICY
from .diffaugment import Policy as Policy
from .diffaugment import diffaugment as diffaugment
