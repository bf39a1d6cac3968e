"""`parla.task_runtime`: what runs here."""

from parla.common.globals import get_scheduler, has_environment
from parla.tasks import Task, TaskID, get_current_context, get_current_devices, get_current_task

__all__ = ["Task", "TaskID", "get_current_context", "get_current_devices", "get_current_task", "get_scheduler", "has_environment"]
