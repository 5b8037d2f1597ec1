"""The workspace in a browser: a page that shows one person what they see, and does what they do.

It has no power of its own: every act goes through the `Persona` that tests use too.

    server      the page's own HTTP server on 127.0.0.1: index, files, stream, acts
    guards      who may ask it at all; the headers on every answer
    sight       what one person sees, piece by piece
    stream      the changes of it, as server-sent events
    acts        the verbs; words: why not, in sentences
    exchanges   the wire log for the inspector, without secrets
    files       plain ES modules and styles, no build step
"""

from bot.sandbox.page.server import Beside, Page

__all__ = ["Beside", "Page"]
