"""Makes small documents for tests."""

from __future__ import annotations


def make_pdf(pages: list[str], title: str = "") -> bytes:
    """A PDF with one line of text per line on each page."""
    count = len(pages)
    kids = " ".join(f"{4 + 2 * n} 0 R" for n in range(count))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {count} >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for n, text in enumerate(pages):
        lines = "".join(f"({line}) Tj T* " for line in text.splitlines())
        stream = f"BT /F1 12 Tf 14 TL 72 720 Td {lines}ET".encode()
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {5 + 2 * n} 0 R "
            f"/Resources << /Font << /F1 3 0 R >> >> >>".encode()
        )
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream))
    objects.append(f"<< /Title ({title}) /CreationDate (D:20240203040506Z) >>".encode())
    out, places = bytearray(b"%PDF-1.4\n"), []
    for number, body in enumerate(objects, start=1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer\n<< /Size %d /Root 1 0 R /Info %d 0 R >>\n" % (len(objects) + 1, len(objects))
    return bytes(out + b"startxref\n%d\n%%%%EOF\n" % start)


ARTICLE = """<!doctype html><html><head><title>The tower | Site</title>
<meta property="article:published_time" content="2023-04-05T10:00:00Z"></head><body>
<nav>{nav}</nav><article><h1>The tower</h1>
<p>The tower was <b>finished</b> in 1889 and is <a href="/height">330 metres</a> high, which made it
the tallest structure in the world for forty-one years, until another one was finished in 1930.</p>
<h2>Visitors</h2><p>In 2022 it was visited by 5,889,000 people, as the company that runs it says in
its yearly report on visitors, which was published in the spring of the year that followed.</p>
<table><tr><th>year</th><th>visitors</th></tr><tr><td>2022</td><td>5889000</td></tr></table>
</article><footer>Imprint</footer><script>alert("x")</script></body></html>""".replace(
    "{nav}", "".join(f'<a href="/n{n}">section {n}</a>' for n in range(300))
)
"""A page with an article behind 300 navigation links."""
