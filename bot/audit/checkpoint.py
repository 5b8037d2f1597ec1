"""Signed checkpoints: "the history had this size and this root", in the C2SP tlog-checkpoint form.

A checkpoint is a signed note (c2sp.org/signed-note, c2sp.org/tlog-checkpoint): origin, size and base64 root
on three lines, a blank line, then `— <name> <base64 of key id and signature>`. Rule: the key is never in the
database, and the signer remembers, outside it too, the last tree it signed: it refuses to sign a tree that
does not continue it.
"""

import base64
import hashlib
import os
import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from bot.audit.tree import Frontier

_ED25519 = b"\x01"


class CheckpointError(ValueError):
    """A note, key or tree that cannot be trusted; the text says why."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What one note says, and the note itself."""

    origin: str
    size: int
    root: bytes
    note: str


@dataclass(frozen=True, slots=True)
class Verifier:
    """A public key under a name: `<name>+<key id, hex>+<base64>` (the note format's verifier key)."""

    name: str
    key: bytes

    @property
    def key_id(self) -> bytes:
        """The first 4 bytes of SHA-256(name, newline, algorithm, key), as the note format says."""
        return hashlib.sha256(self.name.encode() + b"\n" + _ED25519 + self.key).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(_ED25519 + self.key).decode()}"

    @classmethod
    def parse(cls, text: str) -> "Verifier":
        """The key that `str()` wrote.

        Raises:
            CheckpointError: it is not one, or its parts do not belong together.
        """
        try:
            name, key_id, data = text.strip().split("+", 2)
            raw = base64.b64decode(data, validate=True)
        except ValueError:
            raise CheckpointError("This is not a verifier key of the form name+id+base64.") from None
        found = cls(name, raw[1:])
        if raw[:1] != _ED25519 or len(raw) != 33 or found.key_id.hex() != key_id:
            raise CheckpointError("This verifier key is damaged: its id does not belong to its bytes.")
        return found

    def open(self, note: str) -> Checkpoint:
        """The checkpoint in `note`, once a signature by this key holds.

        Raises:
            CheckpointError: malformed, of another origin, or not signed by this key.
        """
        text, _, signatures = note.rpartition("\n\n")
        lines = text.split("\n")
        if len(lines) < 3 or not re.fullmatch(r"0|[1-9][0-9]{0,18}", lines[1]):
            raise CheckpointError("This is not a checkpoint: origin, size and root are not there.")
        if lines[0] != self.name:
            raise CheckpointError(f"This checkpoint is of {lines[0]!r}, not of {self.name!r}.")
        try:
            root = base64.b64decode(lines[2], validate=True)
        except ValueError:
            raise CheckpointError("The root of this checkpoint is not base64.") from None
        if len(root) != 32:
            raise CheckpointError("The root of this checkpoint is not a SHA-256 hash.")
        for line in signatures.split("\n"):
            match = re.fullmatch(r"— (\S+) (\S+)", line)
            if match and match[1] == self.name and self._signed(text + "\n", match[2]):
                return Checkpoint(lines[0], int(lines[1]), root, note)
        raise CheckpointError(f"No signature of {self.name!r} on this checkpoint holds.")

    def _signed(self, text: str, blob: str) -> bool:
        try:
            raw = base64.b64decode(blob, validate=True)
            if raw[:4] != self.key_id:
                return False
            Ed25519PublicKey.from_public_bytes(self.key).verify(raw[4:], text.encode())
        except (ValueError, InvalidSignature):
            return False
        return True


def open_any(verifiers: Iterable[Verifier], note: str) -> Checkpoint:
    """The checkpoint in `note`, once a signature by one of these keys holds; the first is the one in use.

    Raises:
        CheckpointError: none of them holds; the text is the first key's.
    """
    refused: list[CheckpointError] = []
    for verifier in verifiers:
        try:
            return verifier.open(note)
        except CheckpointError as error:
            refused.append(error)
    raise refused[0]


@dataclass(frozen=True, slots=True, repr=False)
class Signer:
    """The private half, and where it remembers the last tree it signed.

    The key's own folder is only read, so that it can be mounted read-only; the memory's folder is written to.
    """

    name: str
    seed: bytes
    file: Path
    """The key's. Beside it stands `<key file>.earlier`, once there was a key before."""
    memory: Path

    @classmethod
    def generate(cls, name: str, file: Path) -> "Signer":
        """A new key in a new file that only its owner can read.

        Raises:
            FileExistsError: there is a file already; a key is never overwritten.
        """
        seed = Ed25519PrivateKey.generate().private_bytes_raw()
        signer = cls(name, seed, file, _beside(file, "signed"))
        secret = base64.b64encode(_ED25519 + seed).decode()
        line = f"PRIVATE+KEY+{name}+{signer.verifier.key_id.hex()}+{secret}\n"
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            out.write(line)
        return signer

    @classmethod
    def load(cls, file: Path, memory: Path | None = None) -> "Signer":
        """The key in `file`.

        Args:
            file: from `generate`.
            memory: where it remembers; None: beside the key, in `<file>.signed`.

        Raises:
            CheckpointError: it is missing or not such a key. The text never holds any of it.
        """
        try:
            private, key, name, key_id, secret = file.read_text().strip().split("+", 4)
            raw = base64.b64decode(secret, validate=True)
            signer = cls(name, raw[1:], file, memory or _beside(file, "signed"))
            sound = (private, key, raw[:1]) == ("PRIVATE", "KEY", _ED25519)
            sound = sound and signer.verifier.key_id.hex() == key_id
        except (OSError, ValueError):
            sound = False
        if not sound:
            raise CheckpointError(
                f"{file} is not a signing key. Make one with: breakglass keygen --signing-key {file}"
            )
        return signer

    @property
    def verifier(self) -> Verifier:
        """The public half."""
        key = Ed25519PrivateKey.from_private_bytes(self.seed).public_key()
        return Verifier(self.name, key.public_bytes_raw())

    def earlier(self) -> list[Verifier]:
        """Verifier keys of the keys before this one, from `<key file>.earlier`, one on a line.

        Raises:
            CheckpointError: a line is no verifier key.
        """
        file = _beside(self.file, "earlier")
        lines = file.read_text().splitlines() if file.exists() else []
        try:
            return [Verifier.parse(line) for line in lines if line.strip()]
        except CheckpointError as error:
            raise CheckpointError(
                f"{file} does not hold verifier keys, one on a line: {error} Mend it, or remove the file."
            ) from None

    def require_memory(self) -> None:
        """Silent when what is signed can be remembered, without trying it: a server may be writing there.

        Raises:
            CheckpointError: it cannot be written or read there, or what is there is damaged.
        """
        folder = self.memory.absolute().parent
        if not (folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)):
            raise CheckpointError(
                f"The signer cannot remember what it signs: {folder} is no folder that this process may "
                "write to. Make it one, or name a file in another folder in BREAKGLASS_SIGNING_MEMORY."
            )
        self.last()

    def last(self) -> Frontier:
        """The tree that was last signed; empty when none was.

        Raises:
            CheckpointError: the memory is damaged. Signing on would be as if nothing had been signed.
        """
        try:
            return Frontier.from_bytes(self.memory.read_bytes())
        except FileNotFoundError:
            return Frontier()
        except OSError as error:
            raise CheckpointError(
                f"{self.memory}, the signer's memory, cannot be read ({error.strerror}). Give it to the user "
                "who runs the server."
            ) from None
        except ValueError:
            raise CheckpointError(
                f"{self.memory} is damaged: it does not hold the tree that was signed last. Verify the "
                "history against the checkpoints in the audit channel before you remove it."
            ) from None

    async def sign(
        self, size: int, root: bytes, leaves: Callable[[int, int], Awaitable[Sequence[bytes]]]
    ) -> Checkpoint:
        """Signs the tree of `size` and `root`, if it continues the last one signed.

        Args:
            size: how many events the database claims.
            root: the root that it claims over them.
            leaves: `leaves(first, last)` gives the leaf hashes of that range, computed from the stored bytes.

        Raises:
            CheckpointError: the tree is smaller than, or different from, the one signed before.
        """
        before = self.last()
        if size < before.size:
            raise CheckpointError(
                f"The history has {size} events, but {before.size} were signed before: its tail is missing."
            )
        tree = before.extend(await leaves(before.size, size))
        if tree.size != size or tree.root() != root:
            raise CheckpointError(
                f"The history no longer continues the {before.size} events that were signed before: "
                "it was rewritten."
            )
        checkpoint = self.seal(size, root)
        self._remember(tree)
        return checkpoint

    def seal(self, size: int, root: bytes) -> Checkpoint:
        """The signed note for this size and root, without looking back."""
        text = f"{self.name}\n{size}\n{base64.b64encode(root).decode()}\n"
        signature = Ed25519PrivateKey.from_private_bytes(self.seed).sign(text.encode())
        blob = base64.b64encode(self.verifier.key_id + signature).decode()
        return Checkpoint(self.name, size, root, f"{text}\n— {self.name} {blob}\n")

    def _remember(self, tree: Frontier) -> None:
        # Written aside, flushed and renamed: a crash leaves the old memory or the new one, never half of one.
        aside = _beside(self.memory, "new")
        with aside.open("wb") as out:
            out.write(tree.to_bytes())
            out.flush()
            os.fsync(out.fileno())
        aside.replace(self.memory)


def _beside(file: Path, ending: str) -> Path:
    return file.with_name(f"{file.name}.{ending}")


def notes_in(text: str) -> list[str]:
    """Every signed note found in `text`, for example in messages copied from a channel."""
    note = r"[^\n`]+\n\d+\n[A-Za-z0-9+/=]{44}\n\n(?:— \S+ [A-Za-z0-9+/=]+\n?)+"
    return [match[0] for match in re.finditer(note, text.replace("\r\n", "\n"))]
