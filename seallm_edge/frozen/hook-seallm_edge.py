"""What PyInstaller does not see: modules that are imported by name, tables, cards and translations, and the versions
of distributions.
"""

from importlib.metadata import PackageNotFoundError

from PyInstaller.utils.hooks import collect_data_files, collect_submodules, copy_metadata

_NEEDS_ANOTHER_PROGRAM = ("seallm_edge.llm_plugin", "seallm_edge.frozen")

hiddenimports = collect_submodules("seallm_edge", filter=lambda name: not name.startswith(_NEEDS_ANOTHER_PROGRAM))
datas = collect_data_files("seallm_edge", excludes=["native/wheel", "frozen"])
for _name in ("seallm-edge", "llama-cpp-python", "llguidance"):
    try:
        datas += copy_metadata(_name)
    except PackageNotFoundError:  # llguidance is missing where it has no wheels
        continue
