"""What a person holds in their hands: Slack's client without its pixels."""

from bot.sandbox.client.modal import Home, Modal
from bot.sandbox.client.persona import Persona
from bot.sandbox.client.screen import Outcome, Screen

__all__ = ["Home", "Modal", "Outcome", "Persona", "Screen"]
