"""Background runs: a queue in the store, one supervisor per store, one process per run. Nothing here loads torch.

Pages and the command line use what is named in ``__all__``; how it works is told in ``desk`` (one supervisor), ``supervisor``
(queue, devices, dead workers), ``worker`` (the standby process), ``work`` (one run from claim to end), ``sweeping`` (many runs
as one) and ``revival`` (which of those go on by themselves).
"""

from __future__ import annotations

from mtl_core.jobs.checkup import checkpoint_step
from mtl_core.jobs.control import delete, pause, resume, retry, save, stop, submit
from mtl_core.jobs.devices import DeviceLoad, device_load
from mtl_core.jobs.here import run_here
from mtl_core.jobs.modes import Mode, NotAllowed, mode, quota
from mtl_core.jobs.office import ensure_supervisor, has_supervisor, is_warm, reconcile
from mtl_core.jobs.outlook import Outlook, SweepProgress, sweep_progress
from mtl_core.jobs.sweeping import cancel_sweep, delete_sweep, pause_sweep, resume_sweep, submit_sweep, sweep_outlook

__all__ = [
    "DeviceLoad",
    "Mode",
    "NotAllowed",
    "Outlook",
    "SweepProgress",
    "cancel_sweep",
    "checkpoint_step",
    "delete",
    "delete_sweep",
    "device_load",
    "ensure_supervisor",
    "has_supervisor",
    "is_warm",
    "mode",
    "pause",
    "pause_sweep",
    "quota",
    "reconcile",
    "resume",
    "resume_sweep",
    "retry",
    "run_here",
    "save",
    "stop",
    "submit",
    "submit_sweep",
    "sweep_outlook",
    "sweep_progress",
]
