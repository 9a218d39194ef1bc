"""Source code: a text file whose ending names the language; copies of others' code and machine-made files stay out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from model.corpus.readers.compression import uncompressed_name
from model.corpus.readers.source_file import Record, SourceFile
from model.corpus.readers.text import check_text, decode_pieces
from model.corpus.set_aside import FileRefused

LANGUAGES = {
    ".asm": "Assembly", ".s": "Assembly", ".sh": "Shell", ".bash": "Shell", ".zsh": "Shell", ".c": "C", ".h": "C",
    ".cc": "C++", ".cpp": "C++", ".cxx": "C++", ".hpp": "C++", ".hh": "C++", ".cs": "C#", ".clj": "Clojure",
    ".cmake": "CMake", ".css": "CSS", ".scss": "SCSS", ".cu": "CUDA", ".d": "D", ".dart": "Dart", ".el": "Emacs Lisp",
    ".ex": "Elixir", ".exs": "Elixir", ".erl": "Erlang", ".f90": "Fortran", ".f": "Fortran", ".fs": "F#", ".go": "Go",
    ".groovy": "Groovy", ".hs": "Haskell", ".java": "Java", ".jl": "Julia", ".js": "JavaScript", ".mjs": "JavaScript",
    ".cjs": "JavaScript", ".jsx": "JavaScript", ".ts": "TypeScript", ".tsx": "TypeScript", ".kt": "Kotlin",
    ".kts": "Kotlin", ".lisp": "Common Lisp", ".lua": "Lua", ".m": "Objective-C", ".ml": "OCaml", ".mli": "OCaml",
    ".nim": "Nim", ".pas": "Pascal", ".php": "PHP", ".pl": "Perl", ".pm": "Perl", ".proto": "Protocol Buffer",
    ".ps1": "PowerShell", ".py": "Python", ".pyi": "Python", ".r": "R", ".rb": "Ruby", ".rs": "Rust",
    ".scala": "Scala", ".scm": "Scheme", ".sol": "Solidity", ".sql": "SQL", ".swift": "Swift", ".tcl": "Tcl",
    ".v": "Verilog", ".sv": "SystemVerilog", ".vhd": "VHDL", ".vue": "Vue", ".zig": "Zig",
}  # fmt: skip
VENDORED = frozenset(
    {"node_modules", "bower_components", "vendor", "third_party", "thirdparty", "site-packages", "__pycache__"}
)
LONGEST_MEAN_LINE = 100
LONGEST_LINE = 1000


def read_code(file: SourceFile) -> Iterator[Record]:
    """The file's text as one record with the field `code`, the programming language.

    Machine-made files are told by their lines: longer than 1,000 characters, or than 100 on average (the limits of
    Codex, Chen et al. 2021, arXiv 2107.03374, section 3.1).

    Raises:
        FileRefused: A copy of somebody else's code, minified, or no text in its encoding.
    """
    path = PurePosixPath(file.name)
    if folder := next((part for part in path.parts[:-1] if part.lower() in VENDORED), None):
        raise FileRefused("vendored", f"lies in {folder}/, where copies of other projects are kept")
    if ".min." in path.name.lower():
        raise FileRefused("minified", "its name says that it is minified")
    if cut := check_text(file):
        raise cut
    longest, mean = _line_lengths(file)
    if longest > LONGEST_LINE or mean > LONGEST_MEAN_LINE:
        raise FileRefused(
            "minified",
            f"minified or generated: lines of {mean:,.0f} characters on average, the longest {longest:,} "
            f"(limits {LONGEST_MEAN_LINE} and {LONGEST_LINE:,})",
        )
    ending = PurePosixPath(uncompressed_name(file.name)).suffix.lower()
    yield Record("", decode_pieces(file), {"code": LANGUAGES[ending]})


def _line_lengths(file: SourceFile) -> tuple[int, float]:
    longest = n_characters = n_lines = open_line = 0
    for piece in decode_pieces(file):
        for number, line in enumerate(piece.split("\n")):
            open_line = open_line + len(line) if number == 0 else len(line)
            n_lines += number > 0
            longest = max(longest, open_line)
        n_characters += len(piece)
    return longest, n_characters / (n_lines + 1)
