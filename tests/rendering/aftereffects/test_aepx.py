"""AEPX to AEP and back: every chunk equal, and a clear refusal for everything else."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest

from rendering.aftereffects.aepx import compile_aepx, convert_project, decompile_aep, is_aepx
from rendering.aftereffects.riff import Chunk, ChunkTree, first_difference, read_chunks, write_chunks
from rendering.errors import FormatError
from tests.rendering.aftereffects.builders import ProjectBuilder

NAMESPACE = "http://www.adobe.com/products/aftereffects"
REAL_AEPX = (
    "1layer.aepx",
    "2layers1image.aepx",
    "empty.aepx",
    "layer-kinds.aepx",
    "nm05ae12.aepx",
    "player-card.aepx",
    "player-card-broken-relink.aepx",
    "player-card-collected.aepx",
    "player-card-relative-paths.aepx",
)
ANNOTATED_BY_HAND = ("1layer.aepx", "layer-kinds.aepx")
REAL_AEP = ("player-card.aep", "player-card-populated.aep")


@pytest.fixture(scope="module")
def made_aep(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    builder = ProjectBuilder(tmp_path_factory.mktemp("made"))
    builder.comp.add(builder.add_picture("photo ö.png"))
    builder.comp.add_text("Zeile\rнадпись 🎈")
    return builder.save().read_bytes()


def aepx(body: str, *, prolog: str = '<?xml version="1.0" encoding="UTF-8"?>') -> bytes:
    root = f'<AfterEffectsProject xmlns="{NAMESPACE}" majorVersion="1" minorVersion="0">'
    return f"{prolog}{root}{body}</AfterEffectsProject>".encode()


def compiled(body: str) -> tuple[Chunk, ...]:
    return read_chunks(compile_aepx(aepx(body), name="a.aepx"), name="a.aep").chunks


def refusal(data: bytes) -> str:
    with pytest.raises(FormatError) as caught:
        compile_aepx(data, name="bad.aepx")
    assert str(caught.value).startswith("bad.aepx: ")
    assert "\n" not in str(caught.value)
    return str(caught.value)


class TestRealFiles:
    @pytest.mark.parametrize("name", REAL_AEPX)
    def test_converts_to_aep_and_back_with_every_chunk_equal(self, shared_data: Path, name: str) -> None:
        first = compile_aepx((shared_data / "aepx" / name).read_bytes(), name=name)
        again = compile_aepx(decompile_aep(first, name=name), name=name)
        assert first_difference(read_chunks(first, name=name), read_chunks(again, name=name)) is None
        assert first == again

    @pytest.mark.parametrize("name", sorted(set(REAL_AEPX) - set(ANNOTATED_BY_HAND)))
    def test_what_after_effects_wrote_comes_back_byte_for_byte(self, shared_data: Path, name: str) -> None:
        original = (shared_data / "aepx" / name).read_bytes()
        assert decompile_aep(compile_aepx(original, name=name), name=name) == original

    @pytest.mark.parametrize("name", REAL_AEP)
    def test_an_aep_survives_the_way_through_xml_byte_for_byte(self, shared_data: Path, name: str) -> None:
        original = (shared_data / "aepx" / name).read_bytes()
        xml = decompile_aep(original, name=name)
        assert compile_aepx(xml, name=name) == original
        assert b"<alas" not in xml

    def test_both_forms_of_one_project_have_the_same_tree(self, shared_data: Path) -> None:
        def shape(chunks: tuple[Chunk, ...]) -> list[object]:
            return [(chunk.kind, chunk.list_type, shape(chunk.children)) for chunk in chunks]

        saved = read_chunks((shared_data / "aepx" / "player-card.aep").read_bytes(), name="a")
        xml = compile_aepx((shared_data / "aepx" / "player-card.aepx").read_bytes(), name="b")
        assert shape(saved.chunks) == shape(read_chunks(xml, name="b").chunks)

    @pytest.mark.parametrize("name", REAL_AEPX)
    def test_a_truncated_aepx_is_refused(self, shared_data: Path, name: str) -> None:
        data = (shared_data / "aepx" / name).read_bytes()
        end = len(data.rstrip())
        for cut in [0, 1, 60, 200, end - 1, end - 20, *(end * part // 24 for part in range(1, 24))]:
            refusal(data[:cut])

    @pytest.mark.parametrize("name", [*REAL_AEP, *REAL_AEPX])
    def test_a_truncated_aep_is_refused(self, shared_data: Path, name: str) -> None:
        data = (shared_data / "aepx" / name).read_bytes()
        data = compile_aepx(data, name=name) if is_aepx(data) else data
        (body,) = struct.unpack(">I", data[4:8])
        cuts = {0, 3, 4, 11, 12, 15, body + 7, body // 2, len(data) - 1} | {body * part // 60 for part in range(60)}
        if len(data) > body + 8:
            cuts |= {body + 9, body + 200, len(data) - 3}
        for cut in cuts - {body + 8}:
            with pytest.raises(FormatError, match=r"cut\.aep: "):
                read_chunks(data[:cut], name="cut.aep")


class TestElements:
    def test_a_leaf_becomes_a_chunk_padded_to_even(self) -> None:
        data = compile_aepx(aepx('<svap bdata="0f8a86"/>'), name="a")
        assert data == b"RIFX" + struct.pack(">I", 16) + b"Egg!svap\0\0\0\x03\x0f\x8a\x86\0"

    def test_a_container_becomes_a_list_with_a_padded_type(self) -> None:
        (pin,) = compiled("<Pin><CLRS></CLRS></Pin>")
        assert (pin.kind, pin.list_type) == (b"LIST", b"Pin ")
        assert pin.children == (Chunk(b"LIST", list_type=b"CLRS", holds_chunks=True),)

    def test_a_name_element_becomes_a_chunk_that_holds_a_chunk(self) -> None:
        (name,) = compiled("<tdsn><string>Größe</string></tdsn>")
        assert (name.kind, name.list_type) == (b"tdsn", None)
        assert name.children == (Chunk(b"Utf8", "Größe".encode()),)

    def test_a_name_of_ae_12_stays_a_plain_leaf(self) -> None:
        assert compiled('<tdsn bdata="2d5f305f2f2d00"/>') == (Chunk(b"tdsn", b"-_0_/-\0"),)

    def test_raw_text_data_becomes_a_list_of_its_own_kind(self) -> None:
        assert compiled('<btdk bdata="0a3c3c"/>') == (Chunk(b"LIST", b"\n<<", b"btdk"),)

    def test_numbers_become_binary(self) -> None:
        whole, real = compiled(
            "<numS>\n<string>7</string>\n</numS><ppSn><string>150.000000000</string></ppSn>",
        )
        assert (whole.data, real.data) == (struct.pack(">I", 7), struct.pack(">d", 150.0))

    def test_a_file_reference_becomes_compact_json(self) -> None:
        ((reference,),) = (
            pin.children
            for pin in compiled(
                '<Als2><fileReference ascendcount_base="1" ascendcount_target="3" fullpath="D:\\a\\ö.png" '
                'platform="Win" server_name="" server_volume_name="HDD" target_is_folder="0"/></Als2>'
            )
        )
        assert reference.kind == b"alas"
        assert reference.data == (
            b'{"ascendcount_base":1,"ascendcount_target":3,"fullpath":"D:\\\\a\\\\\\u00f6.png","platform":1,'
            b'"server_name":"","server_volume_name":"HDD","target_is_folder":false}'
        )

    def test_metadata_follows_the_body(self) -> None:
        packet = '<?xpacket begin="x"?><a/><?xpacket end="w"?>'
        data = compile_aepx(
            aepx(f"<ProjectXMPMetadata><![CDATA[{packet}]]></ProjectXMPMetadata><Fold></Fold>"), name="a"
        )
        assert data.endswith(packet.encode())
        assert f"<![CDATA[{packet}]]>".encode() in decompile_aep(data, name="a")

    def test_comments_are_no_part_of_the_project(self) -> None:
        assert compiled("<!-- what is this? --><Fold><!-- root --></Fold>") == compiled("<Fold></Fold>")

    def test_an_empty_project_compiles(self) -> None:
        assert compiled("") == ()


class TestRefusals:
    def test_an_unknown_container_is_named(self) -> None:
        assert "<Zzzz>" in refusal(aepx("<Fold><Zzzz><svap bdata='00'/></Zzzz></Fold>"))

    def test_an_unknown_empty_element_is_named(self) -> None:
        assert "<what>" in refusal(aepx("<what/>"))

    def test_an_unknown_attribute_is_named(self) -> None:
        assert "colour" in refusal(aepx('<Fold colour="red"></Fold>'))
        assert "colour" in refusal(aepx('<Als2><fileReference colour="red"/></Als2>'))

    @pytest.mark.parametrize("body", ['<svap bdata="0g"/>', '<svap bdata="012"/>', '<svap bdata="é"/>'])
    def test_data_that_is_not_hexadecimal_is_refused(self, body: str) -> None:
        assert "bdata of <svap> is not hexadecimal" in refusal(aepx(body))

    @pytest.mark.parametrize(
        "body", ['<LIST bdata="00"/>', '<RIFX bdata="00"/>', '<fiveX bdata="00"/>', '<é bdata=""/>']
    )
    def test_an_element_that_cannot_be_a_chunk_is_refused(self, body: str) -> None:
        assert "cannot be the id of a chunk" in refusal(aepx(body))

    @pytest.mark.parametrize(
        "body",
        [
            "<Fold>text</Fold>",
            '<svap bdata="00">text</svap>',
            '<svap bdata="00"><Fold/></svap>',
            "<string><Fold/></string>",
            "<numS><string>many</string></numS>",
            "<numS></numS>",
            "<numS><string>-1</string></numS>",
            '<Als2><fileReference ascendcount_base="x"/></Als2>',
            "<AfterEffectsProject/>",
        ],
    )
    def test_content_in_the_wrong_place_is_refused(self, body: str) -> None:
        refusal(aepx(body))

    def test_a_foreign_namespace_is_refused(self) -> None:
        assert "namespace" in refusal(aepx('<Fold xmlns="http://other"/>'))
        assert "namespace" in refusal(b"<AfterEffectsProject/>")

    @pytest.mark.parametrize(
        "prolog",
        [
            '<!DOCTYPE AfterEffectsProject [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>',
            '<!DOCTYPE AfterEffectsProject SYSTEM "file:///etc/passwd">',
            '<!DOCTYPE AfterEffectsProject [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
        ],
    )
    def test_a_document_type_is_refused(self, prolog: str) -> None:
        assert "document type" in refusal(aepx("<string>&b;</string>", prolog=prolog))

    def test_another_encoding_is_refused(self) -> None:
        refusal(aepx("<Fold/>", prolog="").decode().encode("utf-16"))

    def test_endless_nesting_is_refused(self) -> None:
        assert "nests deeper" in refusal(aepx("<Fold>" * 50_000))

    @pytest.mark.parametrize("data", [b"", b"\n \n", b"\0" * 100, b"<?xml version='1.0'?>", b"RIFX\0\0\0\0Egg!"])
    def test_what_is_no_aepx_is_refused(self, data: bytes) -> None:
        refusal(data)

    def test_a_zero_byte_is_refused_in_one_line(self) -> None:
        assert "Invalid character" in refusal(aepx("<string>a\0b</string>"))

    def test_a_large_attribute_is_no_reason_to_refuse(self) -> None:
        (chunk,) = compiled(f'<pprf bdata="{"00" * 8_000_000}"/>')
        assert len(chunk.data) == 8_000_000


class TestMadeProjects:
    def test_a_made_project_survives_both_ways(self, made_aep: bytes) -> None:
        assert compile_aepx(decompile_aep(made_aep, name="a"), name="b") == made_aep

    def test_every_truncation_of_its_xml_is_refused(self, made_aep: bytes) -> None:
        xml = decompile_aep(made_aep, name="a").rstrip()
        for cut in random.Random(1).sample(range(len(xml)), 40):
            refusal(xml[:cut])

    def test_every_truncation_of_its_body_is_refused(self, made_aep: bytes) -> None:
        (body,) = struct.unpack(">I", made_aep[4:8])
        for cut in random.Random(2).sample(range(body + 8), 150):
            with pytest.raises(FormatError):
                read_chunks(made_aep[:cut], name="cut.aep")

    def test_flipped_bits_give_chunks_or_a_clear_refusal(self, made_aep: bytes) -> None:
        chance = random.Random(3)
        refused = 0
        for _ in range(60):
            damaged = bytearray(made_aep)
            damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
            try:
                tree = read_chunks(bytes(damaged), name="damaged.aep")
            except FormatError:
                refused += 1
            else:
                assert write_chunks(tree)[: len(made_aep)] == bytes(damaged)
        assert 0 < refused < 60


class TestExactness:
    @pytest.mark.parametrize(
        "chunk",
        [
            Chunk(b"Utf8", b"a\x03b"),
            Chunk(b"Utf8", b"\xff\xfe"),
            Chunk(b"Utf8", b"a\r\n<&>\t ]]> \r"),
            Chunk(b"Utf8", b"   "),
            Chunk(b"Utf8", b""),
            Chunk(b"numS", b"\0\0\1"),
            Chunk(b"ppSn", struct.pack(">d", float("nan"))),
            Chunk(b"ppSn", struct.pack(">d", 0.1 + 0.2)),
            Chunk(b"ppSn", struct.pack(">d", -0.0)),
            Chunk(b"alas", b""),
            Chunk(b"alas", b'{"fullpath": "/a"}'),
            Chunk(b"alas", '{"fullpath":"/ö"}'.encode()),
            Chunk(b"alas", b'{"fullpath":"/a","platform":3}'),
            Chunk(b"alas", b'{"fullpath":"/a\\u0003"}'),
            Chunk(b"alas", b"[" * 5000),
            Chunk(b"tdsn", b""),
            Chunk(b"tdsn", b"Utf8\0\0\0\x20short"),
            Chunk(b"LIST", b"odd", b"btdk"),
        ],
    )
    def test_a_chunk_that_xml_cannot_say_plainly_still_comes_back(self, chunk: Chunk) -> None:
        tree = ChunkTree((Chunk(b"LIST", list_type=b"Als2", children=(chunk,), holds_chunks=True),))
        data = write_chunks(tree)
        assert compile_aepx(decompile_aep(data, name="a"), name="b") == data

    def test_an_unknown_list_is_refused_by_name(self) -> None:
        data = write_chunks(ChunkTree((Chunk(b"LIST", list_type=b"Zzzz", holds_chunks=True),)))
        with pytest.raises(FormatError, match="Zzzz"):
            decompile_aep(data, name="a.aep")

    def test_metadata_that_is_cut_off_is_refused(self) -> None:
        with pytest.raises(FormatError, match="XMP packet"):
            read_chunks(write_chunks(ChunkTree((), b"<?xpacket begin='' ?><x")), name="a.aep")

    def test_differences_are_told_with_their_place(self) -> None:
        one = ChunkTree((Chunk(b"svap", b"1"), Chunk(b"head", b"2")))
        assert first_difference(one, one) is None
        assert first_difference(one, ChunkTree((Chunk(b"svap", b"1"), Chunk(b"head", b"3")))) == "/head[1]"
        assert first_difference(one, ChunkTree(one.chunks[:1])) == "/head[1] is on one side only"
        assert first_difference(one, ChunkTree(one.chunks, b"x")) == "XMP packet"


class TestConvertProject:
    def test_goes_both_ways_by_suffix(self, tmp_path: Path, made_aep: bytes) -> None:
        source = tmp_path / "a.aep"
        source.write_bytes(made_aep)
        convert_project(source, tmp_path / "b.aepx")
        convert_project(tmp_path / "b.aepx", tmp_path / "c.aep")
        assert is_aepx((tmp_path / "b.aepx").read_bytes())
        assert (tmp_path / "c.aep").read_bytes() == made_aep
        assert {path.name for path in tmp_path.iterdir()} == {"a.aep", "b.aepx", "c.aep"}

    def test_never_overwrites(self, tmp_path: Path, made_aep: bytes) -> None:
        source, taken = tmp_path / "a.aep", tmp_path / "b.aepx"
        source.write_bytes(made_aep)
        taken.write_text("precious")
        with pytest.raises(FileExistsError, match=r"b\.aepx"):
            convert_project(source, taken)
        assert taken.read_text() == "precious"

    def test_a_bad_source_leaves_nothing_behind(self, tmp_path: Path) -> None:
        (tmp_path / "a.aepx").write_text("<AfterEffectsProject")
        with pytest.raises(FormatError, match=r"a\.aepx"):
            convert_project(tmp_path / "a.aepx", tmp_path / "b.aep")
        assert [path.name for path in tmp_path.iterdir()] == ["a.aepx"]

    def test_an_unknown_suffix_is_refused(self, tmp_path: Path, made_aep: bytes) -> None:
        (tmp_path / "a.aep").write_bytes(made_aep)
        with pytest.raises(FormatError, match=r"\.aep or \.aepx"):
            convert_project(tmp_path / "a.aep", tmp_path / "b.xml")

    def test_a_missing_source_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(FormatError, match=r"a\.aep: it cannot be read"):
            convert_project(tmp_path / "a.aep", tmp_path / "b.aepx")
