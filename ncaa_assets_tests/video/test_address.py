"""What a record's address means to a browser, character by character."""

import pytest

from ncaa_assets.video.address import absolute


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("https://example.com/a.mp4?b=c&d=%20#e", "https://example.com/a.mp4?b=c&d=%20#e"),
        ("//example.com/a.mp4", "https://example.com/a.mp4"),
        ("\\\\example.com\\a\\b.mp4?c=\\#\\", "https://example.com/a/b.mp4?c=\\#\\"),
        ("https:\\\\example.com/a.mp4", "https://example.com/a.mp4"),
        ("HTTPS://example.com/A.mp4", "https://example.com/A.mp4"),
        ("http:example.com/a.mp4", "http://example.com/a.mp4"),
        ("http:/example.com/a.mp4", "http://example.com/a.mp4"),
        ("http:////example.com//a.mp4", "http://example.com//a.mp4"),
        (" \x00\x1f https://example.com/a.mp4\x0b ", "https://example.com/a.mp4"),
        ("htt\nps://exam\tple.com/\r\na.mp4", "https://example.com/a.mp4"),
        ("https://%65xample.com:8443/a", "https://example.com:8443/a"),
        ("https://ｅｘａｍｐｌｅ。com/a", "https://example.com/a"),
        ("https://BÜCHER.example/ä", "https://xn--bcher-kva.example/ä"),
        ("https://b%C3%BCcher.example/", "https://xn--bcher-kva.example/"),
        ("https://straße.example/", "https://xn--strae-oqa.example/"),
        ("https://☕.example/", "https://xn--53h.example/"),
        ("https://example.com./a", "https://example.com./a"),
        ("https://0x7f.1/a", "https://0x7f.1/a"),
        ("https://[2606:4700::1111]:8443/a", "https://[2606:4700::1111]:8443/a"),
        ("https://example.com/100%.mp4?a=%zz%20", "https://example.com/100%25.mp4?a=%25zz%20"),
        ("https://example.com/\ud83d.mp4", "https://example.com/\ufffd.mp4"),
        ("example.com/a.mp4", "example.com/a.mp4"),
        ("/a.mp4", "/a.mp4"),
        ("javascript:alert(1)", "javascript:alert(1)"),
        ("", ""),
    ],
)
def test_a_records_address_means_what_it_means_to_a_browser(written: str, read: str) -> None:
    assert absolute(written) == read


@pytest.mark.parametrize(
    "written",
    ["https://exa%2Fmple.com/", "https://a%40b/", "https://a%00b/", "https://a%3A1/", "https://%E4/", "http://["],
)
def test_a_host_that_is_no_name_is_not_understood(written: str) -> None:
    with pytest.raises(ValueError):
        absolute(written)
