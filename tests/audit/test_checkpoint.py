"""Signed notes by the letter of C2SP, and a signer that does not sign away what it signed before."""

import base64
import hashlib
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from bot.audit.checkpoint import CheckpointError, Signer, Verifier, notes_in
from bot.audit.tree import EMPTY, leaf_hash, root_of
from tests.providers.nobody import give, open_folder, powerless

NAME = "breakglass.example/acme"
LEAVES = [leaf_hash(bytes([n])) for n in range(20)]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "signing.key"


@pytest.fixture
def signer(file: Path) -> Signer:
    return Signer.generate(NAME, file)


def of(history: Sequence[bytes]) -> Callable[[int, int], Awaitable[Sequence[bytes]]]:
    async def leaves(first: int, last: int) -> Sequence[bytes]:
        return history[first:last]

    return leaves


async def sign(signer: Signer, history: Sequence[bytes]) -> str:
    return (await signer.sign(len(history), root_of(history), of(history))).note


# --- the note -------------------------------------------------------------------------------------------


async def test_a_note_is_what_the_standard_says_checked_by_hand(signer: Signer) -> None:
    """c2sp.org/signed-note and c2sp.org/tlog-checkpoint, with nothing of ours but the note and the key."""
    note = await sign(signer, LEAVES[:5])
    origin, size, root, empty, signature, end = note.split("\n")
    assert (origin, size, empty, end) == (NAME, "5", "", "")
    assert base64.b64decode(root, validate=True) == root_of(LEAVES[:5])
    dash, name, blob = signature.split(" ")
    assert (dash, name) == ("\N{EM DASH}", NAME)
    raw = base64.b64decode(blob, validate=True)
    key_name, key_id, encoded = str(signer.verifier).split("+", 2)
    key = base64.b64decode(encoded, validate=True)
    assert (key_name, key[:1], len(raw), len(key)) == (NAME, b"\x01", 4 + 64, 1 + 32)
    assert raw[:4] == hashlib.sha256(NAME.encode() + b"\n" + key).digest()[:4] == bytes.fromhex(key_id)
    Ed25519PublicKey.from_public_bytes(key[1:]).verify(raw[4:], f"{origin}\n{size}\n{root}\n".encode())


def test_a_key_and_signature_of_gos_note_package_hold() -> None:
    """The example in the documentation of golang.org/x/mod/sumdb/note."""
    verifier = Verifier.parse("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
    text = (
        "If you think cryptography is the answer to your problem,\n"
        "then you don't know what your problem is.\n"
    )
    blob = "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
    assert verifier._signed(text, blob)
    assert not verifier._signed(text + " ", blob)
    assert str(verifier) == "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"


async def test_what_was_signed_opens_with_the_public_key_alone(signer: Signer) -> None:
    note = await sign(signer, LEAVES[:5])
    opened = Verifier.parse(str(signer.verifier)).open(note)
    assert (opened.origin, opened.size, opened.root, opened.note) == (NAME, 5, root_of(LEAVES[:5]), note)


async def test_another_witness_on_the_note_changes_nothing(signer: Signer, tmp_path: Path) -> None:
    note = await sign(signer, LEAVES[:5])
    other = Signer.generate("witness.example", tmp_path / "other.key")
    text = note.partition("\n\n")[0] + "\n"
    theirs = other.seal(5, root_of(LEAVES[:5])).note.rsplit("\n\n", 1)[1]
    assert signer.verifier.open(f"{note}{theirs}").size == 5
    assert signer.verifier.open(f"{text}\n{theirs}{note.rsplit(chr(10) * 2, 1)[1]}").size == 5
    with pytest.raises(CheckpointError, match="No signature"):
        signer.verifier.open(f"{text}\n{theirs}")


DAMAGE: dict[str, Callable[[str], str]] = {
    "nothing": lambda _: "",
    "another size": lambda note: note.replace("\n5\n", "\n6\n"),
    "a size with a leading zero": lambda note: note.replace("\n5\n", "\n05\n"),
    "a negative size": lambda note: note.replace("\n5\n", "\n-5\n"),
    "a size that is none": lambda note: note.replace("\n5\n", "\nfive\n"),
    "another origin": lambda note: note.replace(NAME, "breakglass.example/umbrella"),
    "another root": lambda note: note.replace(note.split("\n")[2], base64.b64encode(EMPTY).decode()),
    "a short root": lambda note: note.replace(note.split("\n")[2], "AAAA"),
    "a root that is no base64": lambda note: note.replace(note.split("\n")[2], "*" * 44),
    "no signature": lambda note: note.partition("\n\n")[0] + "\n\n",
    "no empty line": lambda note: note.replace("\n\n", "\n"),
    "a line more": lambda note: note.replace("\n\n", "\nextra\n\n"),
    "a hyphen for the dash": lambda note: note.replace("\N{EM DASH}", "-"),
    "half a signature": lambda note: note[:-20],
    "a signature that is no base64": lambda note: note[:-10] + "*********\n",
    "only the origin": lambda note: note.split("\n")[0] + "\n",
}


@pytest.mark.parametrize("damage", DAMAGE)
async def test_a_damaged_note_is_refused(signer: Signer, damage: str) -> None:
    note = await sign(signer, LEAVES[:5])
    damaged = DAMAGE[damage](note)
    assert damaged != note
    with pytest.raises(CheckpointError):
        signer.verifier.open(damaged)


async def test_every_bit_of_the_signature_counts(signer: Signer) -> None:
    note = await sign(signer, LEAVES[:5])
    head, blob = note.rstrip("\n").rsplit(" ", 1)
    raw = bytearray(base64.b64decode(blob))
    for place in range(len(raw)):
        flipped = bytes([*raw[:place], raw[place] ^ 1, *raw[place + 1 :]])
        with pytest.raises(CheckpointError):
            signer.verifier.open(f"{head} {base64.b64encode(flipped).decode()}\n")


async def test_another_key_of_the_same_name_signs_nothing_of_ours(signer: Signer, tmp_path: Path) -> None:
    other = Signer.generate(NAME, tmp_path / "other.key")
    with pytest.raises(CheckpointError, match="No signature"):
        signer.verifier.open(await sign(other, LEAVES[:5]))


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: "",
        lambda _: "name+id",
        lambda key: key.replace(NAME, "another.name"),
        lambda key: key[:-8] + "AAAAAAA=",
        lambda key: key.replace("+A", "+B", 1) if "+A" in key else "",
        lambda key: key + "*",
    ],
)
def test_a_damaged_public_key_is_refused(signer: Signer, damage: Callable[[str], str]) -> None:
    with pytest.raises(CheckpointError):
        Verifier.parse(damage(str(signer.verifier)))


# --- the signer -----------------------------------------------------------------------------------------


async def test_a_history_that_grew_is_signed_again_and_again(signer: Signer) -> None:
    for size in (0, 1, 5, 5, 20):
        assert signer.verifier.open(await sign(signer, LEAVES[:size])).size == size
        assert (signer.last().size, signer.last().root()) == (size, root_of(LEAVES[:size]))


async def test_a_history_without_its_tail_is_not_signed(signer: Signer) -> None:
    await sign(signer, LEAVES[:5])
    with pytest.raises(CheckpointError, match="4 events, but 5 were signed before: its tail is missing"):
        await sign(signer, LEAVES[:4])
    assert signer.last().size == 5


@pytest.mark.parametrize("place", [0, 2, 4])
@pytest.mark.parametrize("size", [5, 9])
async def test_a_history_that_was_rewritten_is_not_signed(signer: Signer, place: int, size: int) -> None:
    await sign(signer, LEAVES[:5])
    rewritten = [*LEAVES[:place], leaf_hash(b"another"), *LEAVES[place + 1 : size]]
    with pytest.raises(CheckpointError, match="it was rewritten"):
        await sign(signer, rewritten)
    assert signer.last().root() == root_of(LEAVES[:5])
    await sign(signer, LEAVES[:size])


async def test_a_root_or_size_that_the_lines_do_not_give_is_not_signed(signer: Signer) -> None:
    for size, root in ((5, root_of(LEAVES[:6])), (6, root_of(LEAVES[:5])), (4, root_of(LEAVES[:5]))):
        with pytest.raises(CheckpointError):
            await signer.sign(size, root, of(LEAVES[:5]))
    assert signer.last().size == 0


async def test_what_was_signed_is_remembered_beside_the_key_by_the_next_process(
    signer: Signer, file: Path
) -> None:
    await sign(signer, LEAVES[:5])
    again = Signer.load(file)
    assert (again, again.last()) == (signer, signer.last())
    with pytest.raises(CheckpointError, match="tail is missing"):
        await sign(again, LEAVES[:4])
    assert {path.name for path in file.parent.iterdir()} == {"signing.key", "signing.key.signed"}


async def test_a_crash_while_remembering_leaves_the_earlier_memory(
    signer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await sign(signer, LEAVES[:5])

    def crash(_fd: int) -> None:
        raise OSError("power cut")

    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", crash)
        with pytest.raises(OSError, match="power cut"):
            await sign(signer, LEAVES[:9])
    assert signer.last().size == 5
    assert signer.verifier.open(await sign(signer, LEAVES[:9])).size == 9


async def test_a_damaged_memory_signs_nothing(signer: Signer) -> None:
    """As an error that says what to look at; never as if nothing had been signed."""
    await sign(signer, LEAVES[:5])
    signer.memory.write_bytes(signer.memory.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match=r"signing\.key\.signed"):
        await sign(signer, LEAVES[:9])


# --- a key in a folder that is only read --------------------------------------------------------------------


@pytest.fixture
def shut() -> Iterator[Path]:
    """A key as it is mounted into a container: its file readable by the server's user, its folder read-only.

    Beside it is the folder `mine`, which that user may write to.
    """
    with open_folder() as place:
        file = place / "shut" / "signing.key"
        file.parent.mkdir()
        (place / "mine").mkdir()
        Signer.generate(NAME, file).seal(0, EMPTY)
        for path in (file, place / "mine"):
            give(path)
        file.parent.chmod(0o555)
        yield file


async def test_a_key_whose_folder_is_read_only_signs_when_its_memory_is_elsewhere(shut: Path) -> None:
    memory = shut.parents[1] / "mine" / "memory"
    with powerless():
        with pytest.raises(OSError, match=r"signing\.key"):
            await sign(Signer.load(shut), LEAVES[:5])
        signer = Signer.load(shut, memory)
        signer.require_memory()
        assert not memory.exists(), "asking leaves no trace"
        for size in (5, 9):
            assert signer.verifier.open(await sign(signer, LEAVES[:size])).size == size
        with pytest.raises(CheckpointError, match="tail is missing"):
            await sign(Signer.load(shut, memory), LEAVES[:5])
    assert [path.name for path in shut.parent.iterdir()] == ["signing.key"]
    assert [path.name for path in memory.parent.iterdir()] == ["memory"]


def test_a_memory_that_could_not_be_kept_is_refused_with_what_to_do(shut: Path) -> None:
    with powerless(), pytest.raises(CheckpointError) as caught:
        Signer.load(shut).require_memory()
    assert str(caught.value) == (
        f"The signer cannot remember what it signs: {shut.parent} is no folder that this process may write "
        "to. Make it one, or name a file in another folder in BREAKGLASS_SIGNING_MEMORY."
    )
    with pytest.raises(CheckpointError, match="is no folder"):
        Signer.load(shut, shut.parent / "nowhere" / "memory").require_memory()


def test_a_memory_that_cannot_be_read_is_refused_and_not_taken_for_a_new_one(shut: Path) -> None:
    memory = shut.parents[1] / "mine" / "memory"
    memory.touch(mode=0o000)
    with powerless():
        for ask in (Signer.load(shut, memory).require_memory, Signer.load(shut, memory).last):
            with pytest.raises(
                CheckpointError, match=r"memory, cannot be read \(Permission denied\)\. Give it"
            ):
                ask()


def test_the_keys_before_this_one_stand_beside_the_key_wherever_its_memory_is(
    signer: Signer, file: Path, tmp_path: Path
) -> None:
    earlier = file.with_name("signing.key.earlier")
    earlier.write_text(f"{signer.verifier}\n")
    assert Signer.load(file, tmp_path / "elsewhere" / "memory").earlier() == [signer.verifier]
    earlier.write_text("nonsense\n")
    with pytest.raises(CheckpointError, match=r"signing\.key\.earlier does not hold verifier keys"):
        Signer.load(file).earlier()


# --- the key --------------------------------------------------------------------------------------------


def test_a_new_key_is_readable_by_its_owner_alone_and_never_overwritten(signer: Signer, file: Path) -> None:
    assert file.stat().st_mode & 0o777 == 0o600
    before = file.read_bytes()
    with pytest.raises(FileExistsError):
        Signer.generate(NAME, file)
    assert file.read_bytes() == before
    assert Signer.load(file).verifier == signer.verifier


def test_a_signer_does_not_show_its_key(signer: Signer, file: Path) -> None:
    secret = file.read_text().strip().split("+", 4)[4]
    assert secret not in repr(signer)
    assert repr(signer.seed) not in repr(signer)


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: "",
        lambda _: "not a key",
        lambda text: text.replace("PRIVATE+KEY", "PUBLIC+KEY"),
        lambda text: text[:-9] + "\n",
        lambda text: text.replace(NAME, "another.name"),
        lambda text: text.strip()[:-4] + "AAA=",
    ],
    ids=["empty", "other text", "other kind", "cut", "other name", "other bytes"],
)
def test_a_damaged_key_file_is_refused_without_showing_any_of_it(
    signer: Signer, file: Path, damage: Callable[[str], str]
) -> None:
    del signer
    text = file.read_text()
    file.write_text(damage(text))
    with pytest.raises(CheckpointError, match="is not a signing key") as caught:
        Signer.load(file)
    assert text.strip().split("+", 4)[4][:10] not in str(caught.value)


def test_a_key_that_is_not_there_is_refused_with_the_command_that_makes_one(file: Path) -> None:
    with pytest.raises(CheckpointError, match="breakglass keygen --signing-key"):
        Signer.load(file)


# --- notes in a text ------------------------------------------------------------------------------------


async def test_notes_are_found_in_what_somebody_copied_from_a_channel(signer: Signer) -> None:
    notes = [await sign(signer, LEAVES[:size]) for size in (1, 5, 20)]
    text = (
        "Breakglass  APP  2:17 AM\nCheckpoint of 1 event\n"
        f"```\n{notes[0]}```\n"
        f"*Checkpoint*\n```{notes[1]}```\nsomebody wrote: `x`\n\n5\n"
        f"{notes[2]}and that was all"
    )
    opened = [signer.verifier.open(note) for note in notes_in(text)]
    assert [each.size for each in opened] == [1, 5, 20]


async def test_notes_survive_the_line_ends_of_another_system(signer: Signer) -> None:
    """Not finding a note would be silence where an auditor expects a check."""
    text = (await sign(signer, LEAVES[:5])).replace("\n", "\r\n")
    assert [signer.verifier.open(note).size for note in notes_in(f"from the channel:\r\n{text}\r\n")] == [5]


def test_text_without_notes_has_none() -> None:
    assert notes_in("") == notes_in("a\n1\nb\n\n— c d\n") == []


async def test_a_note_that_somebody_changed_is_found_and_then_refused(signer: Signer) -> None:
    text = (await sign(signer, LEAVES[:5])).replace("\n5\n", "\n4\n")
    (found,) = notes_in(text)
    with pytest.raises(CheckpointError):
        signer.verifier.open(found)


def test_keys_of_different_names_have_different_ids(signer: Signer) -> None:
    assert replace(signer.verifier, name="another").key_id != signer.verifier.key_id
