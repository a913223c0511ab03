"""Files as spreadsheets' programs and databases export them, all with the same three people."""
import csv, io, sys, pathlib
out = pathlib.Path(sys.argv[1])
people = [("Berg, Anna", "anna@example.com"), ("Otto\nMüller", "otto@bücher.example"), ("Pat \"O\" Neil", "o'neil+x@example.com")]

def table(header, rows, **dialect):
    text = io.StringIO(newline="")
    writer = csv.writer(text, **dialect)
    if header:
        writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()

named = [(n, m, "") for n, m in people]
semicolon = dict(dialect="excel", delimiter=";")
files = {
    "excel-en.csv": table(("Name", "E-Mail", "Notes"), named, dialect="excel").encode(),
    "excel-utf8.csv": table(("Name", "E-Mail", "Notes"), named, dialect="excel").encode("utf-8-sig"),
    "excel-de.csv": table(("Name", "E-Mail-Adresse", "Notiz"), named, **semicolon).encode("utf-8-sig"),
    "excel-sep.csv": ("sep=;\r\n" + table(("Name", "E-Mail", "Notes"), named, **semicolon)).encode("utf-8-sig"),
    "excel-unicode-text.txt": table(("Name", "Mail", "Notes"), named, dialect="excel-tab").encode("utf-16"),
    "utf16-be.csv": b"\xfe\xff" + table(("Name", "email"), [p for p in people], **semicolon).encode("utf-16-be"),
    "utf16-le-no-mark.csv": table(("EMAIL",), [(m,) for _, m in people], dialect="excel").encode("utf-16-le"),
    "excel-mac.csv": table(("Name", "E-Mail"), [(n.replace("\n", "\r"), m) for n, m in people], dialect="excel", lineterminator="\r").encode(),
    "calc-quoted.csv": table(("email", "name"), [(m, n) for n, m in people], dialect="unix").encode(),
    "blank-rows.csv": (table(("E-Mail", "Name", ""), [(m, n, "") for n, m in people], **semicolon) + ";;\r\n" * 500 + "\r\n").encode("utf-8-sig"),
    "no-header.csv": "\n".join(m for _, m in people).encode(),
    "outlook.csv": table(("First Name", "E-mail Address", "Categories"), [("", f'"{n.replace(chr(10), " ").replace(chr(34), "")}" <{m}>', "") for n, m in people], dialect="excel").encode("utf-8-sig"),
    "links.csv": table(("locale", "Mail"), [("de-AT", f"mailto:{m}\u00a0") for _, m in people], dialect="excel").encode(),
    "google.csv": table(("First Name [Required]", "Email Address [Required]", "Org Unit Path"), [(n, m, "/") for n, m in people], dialect="excel").encode(),
}
for name, content in files.items():
    (out / name).write_bytes(content)
