"""The page of `proctor report` in a real browser, the distribution's chromium: filters, search, flips, keys, evil answers, ten thousand samples."""
import json
import shutil
import unittest

import report_runs
from support import RunCase

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
try:
    from playwright.sync_api import sync_playwright
except ImportError:
    sync_playwright = None


@unittest.skipIf(CHROMIUM is None or sync_playwright is None, "chromium or playwright is not here, so that it cannot be started here")
class Browser(RunCase):
    @classmethod
    def setUpClass(cls):
        cls.driver = sync_playwright().start()
        cls.browser = cls.driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"])

    @classmethod
    def tearDownClass(cls):
        cls.browser.close()
        cls.driver.stop()

    def open(self, *arguments, documents=40, **context):
        report_runs.write_run(self.root / "run", documents)
        done = self.proctor("report", "run", *arguments, "--out", "page.html")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.complaints, self.asked = [], []
        page = self.browser.new_context(**{"viewport": {"width": 1280, "height": 850}, **context}).new_page()
        page.set_default_timeout(60_000)
        page.on("console", lambda message: self.complaints.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.asked.append(request.url))
        page.goto((self.root / "page.html").as_uri())
        self.addCleanup(page.context.close)
        return page

    def ended(self, page):
        self.assertEqual(self.complaints, [])
        self.assertEqual({url.split(":")[0] for url in self.asked} - {"data", "blob"}, {"file"})
        self.assertEqual(len([url for url in self.asked if url.startswith("file:")]), 1)
        self.assertIn("proctor report", page.title())

    def lines(self, module, task):
        return [json.loads(line) for line in (self.root / "run/samples" / module / f"{task}.jsonl").read_text().splitlines()]

    def show(self, page, name):
        return page.locator(f"#shows button[data-show={name}]")

    def test_wrong_answers_are_two_clicks_away(self):
        page = self.open()
        page.locator("#leader .tabulator-data-tree-control").first.click()  # the group's tasks
        page.locator("#leader a.figure", has_text="0.").nth(2).click()
        self.show(page, "wrong").click()
        self.assertEqual(page.input_value("#task"), "left")
        page.wait_for_selector("#list .tabulator-row")
        wrong = [str(line["doc_id"]) for line in self.lines("first", "left") if line["acc"] < 1]
        self.assertIn(str(len(wrong)), self.show(page, "wrong").inner_text())
        self.assertEqual(page.locator("#list .tabulator-row .tabulator-cell[tabulator-field=id]").all_inner_texts(), wrong)
        page.locator("#list .tabulator-row").first.click()
        page.wait_for_selector(f"#detail h3:has-text('document {wrong[0]}')")
        self.assertEqual(page.locator("#detail tr.right").count(), 1)
        page.keyboard.press("j")
        page.wait_for_selector(f"#detail h3:has-text('document {wrong[1]}')")
        page.keyboard.press("k")
        page.wait_for_selector(f"#detail h3:has-text('document {wrong[0]}')")
        address = page.url
        page.goto("about:blank")
        page.goto(address)  # what was looked at can be linked
        page.wait_for_selector(f"#detail h3:has-text('document {wrong[0]}')")
        self.assertEqual(self.complaints, [])

    def test_where_two_modules_differ(self):
        page = self.open()
        page.click("nav a[href='#comparison']")
        page.click("#comparisons a:has-text('right')")
        page.wait_for_selector("#list .tabulator-row")
        first, second = (self.lines(module, "right") for module in ("first", "second"))
        differ = [str(a["doc_id"]) for a, b in zip(first, second, strict=True) if a["acc"] != b["acc"]]
        self.assertEqual(page.locator("#list .tabulator-row .tabulator-cell[tabulator-field=id]").all_inner_texts(), differ)
        self.assertEqual(self.show(page, "differ").get_attribute("aria-pressed"), "true")
        page.locator("#list .tabulator-row").first.click()
        page.wait_for_selector("#detail .side >> nth=1")
        self.assertEqual(page.locator("#detail .side > h4:first-child").all_inner_texts(), ["first", "second"])
        self.ended(page)

    def test_an_evil_answer_is_text(self):
        page = self.open()
        page.goto(page.url + "#samples?task=say&document=7")
        page.wait_for_selector("#detail h3:has-text('document 7')")
        self.assertIn(report_runs.EVIL, page.locator("#detail").inner_text())
        page.click("nav a[href='#about']")
        self.assertIn(report_runs.EVIL, page.locator("#facts").inner_text())
        for name in ("time", "results", "comparison"):
            page.click(f"nav a[href='#{name}']")
        self.assertEqual(page.locator("#detail b, #facts b, #detail img").count(), 0)
        self.ended(page)

    def test_filters_and_search(self):
        page = self.open()
        page.goto(page.url + "#samples?task=say&module=0")
        for name, ids in (("failed", ["5"]), ("truncated", ["3"]), ("unfinished", ["4"]), ("wrong", [str(i) for i in range(12) if i % 2 == 0])):
            self.show(page, name).click()
            page.wait_for_function("name => document.querySelector(`#shows button[data-show=${name}]`).ariaPressed === 'true'", arg=name)
            self.assertEqual(page.locator("#list .tabulator-row .tabulator-cell[tabulator-field=id]").all_inner_texts(), ids, name)
        self.show(page, "all").click()
        page.keyboard.press("/")
        page.keyboard.type("NEEDLE")
        page.wait_for_function("() => document.querySelectorAll('#list .tabulator-row').length === 1")
        self.assertEqual(page.locator("#list .tabulator-cell[tabulator-field=id]").all_inner_texts(), ["8"])
        page.fill("#search", "nothing has this")
        page.wait_for_selector("#list :text('no such samples')")
        self.ended(page)

    def test_ten_thousand_samples(self):
        page = self.open(documents=2500)
        page.goto(page.url + "#samples?task=left")
        page.wait_for_selector("#list .tabulator-row")
        self.assertIn("2500", self.show(page, "all").inner_text())
        self.assertLess(page.locator("#list .tabulator-row").count(), 200)  # those in sight alone
        last = self.lines("first", "left")[-1]
        page.fill("#search", f"Question {last['doc_id']}:")
        page.wait_for_function("() => document.querySelectorAll('#list .tabulator-row').length === 1")
        page.locator("#list .tabulator-row").click()
        page.wait_for_selector("#detail h3:has-text('document 2499')")
        self.assertIn(last["doc"]["question"], page.locator("#detail pre").all_inner_texts()[-2])
        self.ended(page)

    def test_dark_and_on_a_phone(self):
        page = self.open("--price", "2", color_scheme="dark", viewport={"width": 390, "height": 800})
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
        for name in ("results", "samples", "comparison", "time", "about"):
            page.click(f"nav a[href='#{name}']")
            self.assertLessEqual(page.evaluate("document.documentElement.scrollWidth"), 390, name)
        page.click("#theme")
        self.assertNotEqual(page.evaluate("getComputedStyle(document.body).backgroundColor"), dark)
        self.ended(page)


if __name__ == "__main__":
    unittest.main()
