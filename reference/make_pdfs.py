"""Small PDFs of other programs, for src/ui/attachments: reference/fixtures/pdf/*.pdf.

Needs pdflatex (texlive-latex-base), soffice (libreoffice-writer-nogui), the font WenQuanYi Micro Hei
(fonts-wqy-microhei), chromium, and reportlab (pip). From the project's root:

    python3 reference/make_pdfs.py
"""

import subprocess
import tempfile
from pathlib import Path

from reportlab.lib.pagesizes import A5
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen.canvas import Canvas

OUT = Path("reference/fixtures/pdf")

LATEX = r"""\documentclass{article}
\usepackage[utf8]{inputenc}
\usepackage[T1]{fontenc}
\usepackage[paperwidth=9cm,paperheight=14cm,margin=1.5cm]{geometry}
\begin{document}
\section{Lighthouses}
The office keeps an efficient index of every lighthouse on the coast. Its first entry describes the tower at Fl\"ugge,
whose lamp burns whale oil, and whose keeper writes an extraordinarily comprehensive report on every shipwreck.

A second paragraph says that the signal is repeated every twelve seconds.
\newpage
\section{Harbours}
The harbour of Gr\"une Bucht freezes in January. Its depth is $d = 7.5$ metres.
\end{document}
"""

CHROMIUM = """<html lang="en"><meta charset="utf-8">
<style>h1 { break-before: page } h1:first-of-type { break-before: auto }</style>
<h1>Gardens</h1><p>The gardener waters the quinces before sunrise.</p><p>Nobody else has the key to the glasshouse.</p>
<h1>花园</h1><p lang="zh" style="font-family: 'WenQuanYi Micro Hei'">园丁在日出之前给榅桲树浇水。没有别人有温室的钥匙。</p></html>"""

LIBREOFFICE = """<html><body><h1>Bees</h1>
<p>A hive of bees keeps itself at thirty-five degrees in winter.</p>
<table border="1"><tr><td>Month</td><td>Honey</td></tr><tr><td>June</td><td>12 kg</td></tr></table>
<p style="page-break-before: always">The queen may live for five years.</p></body></html>"""


def latex() -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "latex.tex").write_text(LATEX)
        subprocess.run(["pdflatex", "-interaction=batchmode", "latex.tex"], cwd=folder, check=True, capture_output=True)
        (OUT / "latex.pdf").write_bytes(Path(folder, "latex.pdf").read_bytes())


def chromium() -> None:
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder, "page.html")
        page.write_text(CHROMIUM)
        flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}/profile", "--no-pdf-header-footer"]
        out = (OUT / "chromium.pdf").resolve()
        subprocess.run(["chromium", *flags, f"--print-to-pdf={out}", page.as_uri()], check=True, capture_output=True)


def libreoffice() -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "libreoffice.html").write_text(LIBREOFFICE)
        command = ["soffice", "--headless", "--convert-to", "pdf:writer_web_pdf_Export", "libreoffice.html"]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        (OUT / "libreoffice.pdf").write_bytes(Path(folder, "libreoffice.pdf").read_bytes())


def chinese() -> None:
    """A font that is not in the file, in the predefined encoding UniGB-UCS2-H: without that character map there is no
    text."""
    pdfmetrics.registerFont(UnicodeCIDFont("STSong-Light"))
    canvas = Canvas(str(OUT / "chinese.pdf"), pagesize=A5, invariant=1)
    canvas.setFont("STSong-Light", 12)
    canvas.drawString(60, 500, "图书馆每天早上九点开门,星期一休息。")
    canvas.drawString(60, 480, "借书证在二楼办理,需要带身份证。")
    canvas.showPage()
    canvas.setFont("STSong-Light", 12)
    canvas.drawString(60, 500, "古籍不外借,只能在阅览室里看。")
    canvas.save()


def encrypted() -> None:
    canvas = Canvas(str(OUT / "encrypted.pdf"), pagesize=A5, encrypt=StandardEncryption("secret", strength=128))
    canvas.drawString(60, 500, "Nobody reads this without the password.")
    canvas.save()


def picture() -> None:
    canvas = Canvas(str(OUT / "picture.pdf"), pagesize=A5, invariant=1)
    canvas.rect(60, 100, 200, 300, fill=1)
    canvas.showPage()
    canvas.circle(200, 300, 80, fill=1)
    canvas.save()


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    for make in (latex, chromium, libreoffice, chinese, encrypted, picture):
        make()
        print(make.__name__)
