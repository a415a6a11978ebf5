//go:build slow

package browser_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/internal/config"
)

const plant = `
types:
  rom_reset_status: 0x10
  reading: {type: 0x20, ack: never}
commands: {timeout: 20s, attempts: 1}
devices:
  frames: 3
  frame_data: true
  groups:
    hall-1: [pump-0042, pump-0043]
`

const boardCommands = `section[aria-label="Commands"]`

// row is what can be read in the row of a device, as an expression.
func row(id string) string {
	return fmt.Sprintf(`[...document.querySelectorAll("[role=row]")].find(r => [...r.querySelectorAll("a")].some(a => a.textContent.trim() === %s))?.innerText`, quote(id))
}

// The fleet says how a first board connects, and from then on shows who comes, speaks and goes.
func TestFleetIsLive(t *testing.T) {
	g := serve(t, plant)
	b := openTab(t, g.api, look{})
	b.sees("#app", "longwire listen "+g.boards)
	c := g.board(longwire.Hello{ID: "pump-0042", Attributes: map[string]string{"place": "hall one"}})
	b.wait("the board", row("pump-0042")+`.includes("online")`)
	g.board(longwire.Hello{ID: "meter-7"})
	b.wait("another one", row("meter-7")+`.includes("online")`)
	b.reads("#total", "2 boards")

	for range 3 {
		if err := c.Push(t.Context(), 0x20, map[string]int{"celsius": 21}); err != nil {
			t.Fatal(err)
		}
	}
	var d struct {
		Frames int `json:"frames_in"`
	}
	for d.Frames < 3 {
		g.do("GET", "/v1/devices/pump-0042", "", &d)
	}
	b.wait("its counter", fmt.Sprintf(`/\b%d\b/.test(%s)`, d.Frames, row("pump-0042")))

	c.Close(longwire.ReasonClosed)
	b.wait("that it has gone", row("pump-0042")+`.includes("away")`)
}

func TestFleetSelectsAndSorts(t *testing.T) {
	g := serve(t, plant)
	for i := range 40 {
		g.board(longwire.Hello{ID: fmt.Sprintf("meter-%d", i)})
	}
	g.board(longwire.Hello{ID: "pump-0042", Attributes: map[string]string{"place": "Cellar"}}).Close(longwire.ReasonClosed)
	b := openTab(t, g.api, look{})
	b.reads("#total", "41 boards")

	b.press("/")
	b.press("cellar")
	b.reads("#total", "1 board")
	b.wait("the one that is found", row("pump-0042"))
	b.enter("searchbox", "Search", "no such board")
	b.sees("#app", "No board is like that")
	b.press(kb.Escape)
	b.enter("searchbox", "Search", "")
	b.reads("#total", "41 boards")

	b.choose("State", "away")
	b.reads("#total", "1 board")
	b.choose("State", "online")
	b.reads("#total", "40 boards")
	b.choose("State", "")
	b.choose("Listener", "boards")
	b.reads("#total", "41 boards")

	first := `[...document.querySelectorAll("[role=row] a")][0]?.textContent.trim()`
	b.wait("ids from the smallest on", first+` === "meter-0"`)
	b.click("button", "Id")
	b.wait("ids from the largest on", first+` === "pump-0042"`)
	b.click("button", "Id")
	b.wait("ids from the smallest on", first+` === "meter-0"`)

	// With keys alone: to a row, into it, and back.
	b.press("/")
	b.press(kb.ArrowDown + kb.ArrowDown)
	b.wait("the second board", `document.activeElement.textContent === "meter-1"`)
	b.press(kb.Enter)
	b.wait("a board", `location.hash.startsWith("#/board/meter-")`)
	b.press(kb.Escape)
	b.wait("the fleet", `["", "#/", "#/fleet"].includes(location.hash)`)
}

// choose selects an option of a field by its value.
func (b *tab) choose(name, value string) {
	b.t.Helper()
	b.find("combobox", name)
	b.wait("the choice "+value, fmt.Sprintf(`(() => {
		const field = [...document.querySelectorAll("select")].find(s => s.ariaLabel === %[1]s || [...s.labels].some(l => l.innerText.trim().startsWith(%[1]s)))
		if (![...field.options].some(o => o.value === %[2]s)) return false
		field.value = %[2]s
		field.dispatchEvent(new Event("input", {bubbles: true}))
		field.dispatchEvent(new Event("change", {bubbles: true}))
		return true
	})()`, quote(name), quote(value)))
}

func TestAsk(t *testing.T) {
	g := serve(t, plant)
	c := g.board(longwire.Hello{ID: "pump-0042", Attributes: map[string]string{"firmware": "2.7.1"}})
	b := openTab(t, g.api, look{})
	b.click("link", "pump-0042")
	b.sees("#app", "2.7.1")
	b.enter("combobox", "Type", "rom_reset_status")
	b.enter("textbox", "Data", `{"rom":"status","n":12345678901234567890}`)
	b.click("button", "Ask")
	b.wait("the answer", `(a => a.includes("12345678901234567890") && a.includes("pump-0042") && a.includes("200") && /\d\s?ms/.test(a))(document.querySelector("#answer").innerText)`)

	// Both ways in the trace, and with the type's name.
	b.wait("the question and the answer", `document.querySelectorAll("#trace .frame").length >= 2`)
	b.sees("#trace", "rom_reset_status")
	b.sees("#trace", `"rom":"status"`)
	if err := c.Push(t.Context(), 0x20, longwire.Raw{0xde, 0xad, 0, 0xbe, 0xef}); err != nil {
		t.Fatal(err)
	}
	b.sees("#trace", "reading")
	b.sees("#trace", "de ad 00 be ef")

	b.enter("textbox", "Data", `{"led":"on"}`)
	b.click("button", "Push")
	b.sees("#trace", `"led":"on"`)

	// What is no JSON does not leave the page.
	b.enter("textbox", "Data", `{"rom":`)
	b.click("button", "Ask")
	b.wait("that it is no JSON", `document.querySelector("textarea[aria-invalid=true]")`)
	b.sees("[role=alert]", "JSON")
}

// A board that does not answer, and one that has gone: the page says so.
func TestAskInVain(t *testing.T) {
	g := serve(t, plant)
	c := g.boardWith(longwire.Hello{ID: "mute"}, func(context.Context, *longwire.Message) (any, error) { return longwire.NoAnswer, nil })
	b := openTab(t, g.api+"/#/board/mute", look{})
	b.lonely.Store(true) // 504 and 409
	b.enter("combobox", "Type", "16")
	b.enter("textbox", "Data", `1`)
	b.choose("Wait for", "1")
	b.click("button", "Ask")
	b.sees("#answer", "not answered")
	c.Close(longwire.ReasonClosed)
	b.sees("h1", "away")
}

func TestTracePauses(t *testing.T) {
	g := serve(t, plant)
	c := g.board(longwire.Hello{ID: "pump-0042"})
	b := openTab(t, g.api+"/#/board/pump-0042", look{})
	push := func(n int) {
		t.Helper()
		if err := c.Push(t.Context(), 0x20, map[string]int{"reading": n}); err != nil {
			t.Fatal(err)
		}
	}
	push(1)
	b.sees("#trace", `"reading":1`)
	b.click("button", "Pause")
	push(2)
	push(3)
	b.sees("#app", "2 more")
	if strings.Contains(eval[string](b, `document.querySelector("#trace").innerText`), `"reading":3`) {
		t.Error("the trace goes on while it is paused")
	}
	b.click("button", "Go on")
	b.sees("#trace", `"reading":3`)
	b.click("button", "Copy")
	b.sees(".notice", "Copied")
	for n := range 700 {
		push(1000 + n)
	}
	b.sees("#trace", `"reading":1699`)
	if n := eval[int](b, `document.querySelectorAll("#trace .frame").length`); n > 500 {
		t.Errorf("the trace has %d frames", n)
	}
}

// A command is left for a board that is away, and is carried out in front of who left it.
func TestCommandWaits(t *testing.T) {
	g := serve(t, plant)
	g.board(longwire.Hello{ID: "pump-0042"}).Close(longwire.ReasonClosed)
	b := openTab(t, g.api+"/#/board/pump-0042", look{})
	b.sees("h1", "away")
	b.enter("combobox", "Type", "rom_reset_status")
	b.enter("textbox", "Data", `{"valve":"open"}`)
	b.click("button", "Leave as command")
	b.sees(boardCommands, "queued")
	g.board(longwire.Hello{ID: "pump-0042"})
	b.sees(boardCommands, "done")

	// One that nobody wants any more is called back.
	g.board(longwire.Hello{ID: "pump-0043"}).Close(longwire.ReasonClosed)
	b.visit("#/board/pump-0043")
	b.sees("#app", "pump-0043")
	b.enter("combobox", "Type", "16")
	b.enter("textbox", "Data", `7`)
	b.click("button", "Leave as command")
	b.sees(boardCommands, "queued")
	b.click("button", "Cancel")
	b.sees(boardCommands, "cancelled")
}

// A command that has died is tried again from the list of all.
func TestDeadLetterIsRetried(t *testing.T) {
	g := serve(t, plant)
	mute := func(context.Context, *longwire.Message) (any, error) { return longwire.NoAnswer, nil }
	c := g.boardWith(longwire.Hello{ID: "pump-0042"}, mute)
	g.do("POST", "/v1/devices/pump-0042/commands?wait=10s", `{"type":16,"data":1,"timeout":"3s","attempts":1}`, nil)
	c.Close(longwire.ReasonClosed)
	b := openTab(t, g.api+"/#/commands", look{})
	b.sees("td .state", "dead")
	g.board(longwire.Hello{ID: "pump-0042"})
	b.click("button", "Retry")
	b.sees("td .state", "done")
}

func TestKick(t *testing.T) {
	g := serve(t, plant)
	c := g.board(longwire.Hello{ID: "pump-0042"})
	b := openTab(t, g.api+"/#/board/pump-0042", look{})
	b.sees("h1", "online")
	b.click("button", "Kick")
	b.find("dialog", "Kick pump-0042?")
	b.click("button", "Cancel")
	b.wait("no dialog", `!document.querySelector("dialog[open]")`)
	select {
	case <-c.Done():
		t.Fatal("the board was kicked though nobody has said yes")
	default:
	}
	b.click("button", "Kick")
	b.find("dialog", "Kick pump-0042?")
	b.click("button", "Kick")
	<-c.Done()
	b.sees("h1", "away")
}

// What boards say is shown as they say it, and does nothing.
func TestHostileTextStaysText(t *testing.T) {
	const image, script = `<img src=x onerror="globalThis.hacked=1">`, `"><script>globalThis.hacked=1</script>`
	g := serve(t, plant)
	hello := longwire.Hello{ID: "evil", Groups: []string{image}, Attributes: map[string]string{
		"name": script, image: "javascript:globalThis.hacked=1", "turned": "a\u202eb", "__proto__": "constructor"}}
	c := g.boardWith(hello, func(context.Context, *longwire.Message) (any, error) {
		return map[string]any{"html": image, "__proto__": script, "template": "${globalThis.hacked=1}"}, nil
	})
	b := openTab(t, g.api, look{})
	b.wait("the board", row("evil")) // its groups are in the fleet
	b.visit("#/board/evil")
	b.sees("#app", image)
	b.sees("#app", script)
	b.sees("#app", `a\u202eb`)
	for _, data := range []any{image, map[string]string{"x": script}, longwire.Raw(image), longwire.Raw("\x1b[31m" + script), longwire.Envelope{Message: image, Status: "200", DataType: script}} {
		if err := c.Push(t.Context(), 0x20, data); err != nil {
			t.Fatal(err)
		}
	}
	b.sees("#trace", "<img src=x onerror=")
	b.enter("combobox", "Type", "16")
	b.enter("textbox", "Data", `1`)
	b.click("button", "Ask")
	b.sees("#answer", "<img src=x onerror=")
	g.do("POST", "/v1/devices/evil/commands?wait=10s", fmt.Sprintf(`{"type":16,"data":%s}`, quote(image)), nil)
	b.sees(boardCommands, "done")
	b.visit("#/events")
	b.choose("Beginning", "all")
	b.sees("#events", "<img src=x onerror=")
	for _, hash := range []string{"#/commands", "#/fleet"} {
		b.visit(hash)
		b.sees("#app", "evil")
	}
	if eval[bool](b, `"hacked" in globalThis || !!document.querySelector("main img, #app script, #app iframe")`) {
		t.Error("what a board said is markup")
	}
	// Nor do names that are no ids and addresses that are no pages.
	for _, hash := range []string{"#/board/" + image, "#/board/%", "#/board/..%2f..%2fv1", "#/board/__proto__", "#/constructor", "#/" + script} {
		b.lonely.Store(true) // unknown devices
		b.visit(hash)
		b.wait("something", `document.body.innerText.length > 50`)
	}
	if eval[bool](b, `"hacked" in globalThis`) {
		t.Error("what stood in the address was executed")
	}
}

// Should a script of the page ever be wrong, the browser refuses what would matter; and these tests
// would see it.
func TestPolicyHolds(t *testing.T) {
	g := serve(t, plant)
	b := openTab(t, g.api, look{})
	b.hostile.Store(true)
	refused := eval[[]string](b, `(async () => {
		const refused = [];
		const attempt = async (what, act) => { try { await act() } catch { refused.push(what) } };
		await attempt("markup", () => { document.body.innerHTML = "<b>x</b>" });
		await attempt("script", () => { document.createElement("script").src = "/app.js?x" });
		await attempt("elsewhere", () => fetch("http://localhost:1/"));
		document.body.setAttribute("style", "opacity: 0.5");
		getComputedStyle(document.body).opacity === "1" && refused.push("style");
		return refused;
	})()`)
	if want := []string{"markup", "script", "elsewhere", "style"}; !slices.Equal(refused, want) {
		t.Errorf("the browser refuses %q, want %q", refused, want)
	}
	b.wait("that it is told", `["require-trusted-types-for", "connect-src", "style-src-attr"].every(d => violations.some(v => v.startsWith(d)))`)
}

// The page says that it has lost the gateway, comes back by itself, and has then what it has missed.
func TestGatewayRestarts(t *testing.T) {
	g := serve(t, plant)
	c := g.board(longwire.Hello{ID: "pump-0042"})
	b := openTab(t, g.api, look{})
	b.wait("the board", row("pump-0042")+`.includes("online")`)
	b.lonely.Store(true)
	g.stop()
	<-c.Done()
	b.wait("that it is disconnected", `document.querySelector("#offline[role=alert]")?.checkVisibility()`)
	b.shot("disconnected")
	g.again()
	g.board(longwire.Hello{ID: "meter-7"})
	b.wait("that it is back", `!document.querySelector("#offline")?.checkVisibility()`)
	b.wait("the board of before", row("pump-0042")+`.includes("away")`)
	b.wait("the new board", row("meter-7")+`.includes("online")`)
	// And the stream lives.
	g.board(longwire.Hello{ID: "pump-0042"})
	b.wait("what happens", row("pump-0042")+`.includes("online")`)
}

// The events of a board before and after a restart stand in one list, none twice.
func TestEventsGoOn(t *testing.T) {
	g := serve(t, plant)
	b := openTab(t, g.api+"/#/events", look{})
	b.choose("Beginning", "300")
	g.board(longwire.Hello{ID: "pump-0042"}).Close(longwire.ReasonClosed)
	b.sees("#events", "disconnect")
	b.lonely.Store(true)
	g.stop()
	b.wait("that it is disconnected", `document.querySelector("#offline")?.checkVisibility()`)
	g.again()
	g.board(longwire.Hello{ID: "meter-7"})
	b.sees("#events", "meter-7")
	var seen []string
	eval := eval[[]string](b, `[...document.querySelectorAll("#events .event")].map(e => e.innerText.replace(/\s+/g, " "))`)
	for _, e := range eval {
		if strings.Contains(e, "pump-0042") {
			seen = append(seen, e)
		}
	}
	if len(seen) != 2 {
		t.Errorf("the events of the board: %q", seen)
	}
}

// With a token there is no page without it, and no script can read what stands for it.
func TestLogin(t *testing.T) {
	token := config.NewToken()
	g := serve(t, plant+"http: {tokens: {ops: \""+config.HashOf(token).Reveal()+"\"}}\n")
	g.token = token
	g.board(longwire.Hello{ID: "pump-0042"})
	b := openTab(t, g.api+"/#/board/pump-0042", look{})
	b.lonely.Store(true) // 401
	b.enter("textbox", "Token", "wrong")
	b.click("button", "Log in")
	b.sees("[role=alert]", "token")
	b.enter("textbox", "Token", token)
	b.press(kb.Enter)
	b.sees("h1", "online")
	b.sees("#app", "pump-0042") // where one was
	if kept := eval[string](b, `document.cookie + JSON.stringify(localStorage) + JSON.stringify(sessionStorage)`); strings.Contains(kept, token) || strings.Contains(kept, "session") {
		t.Errorf("scripts can read %s", kept)
	}
	b.reload()
	b.sees("h1", "online")
	b.click("button", "Log out")
	b.find("textbox", "Token")
	if status := eval[int](b, `fetch("/v1/devices").then(r => r.status)`); status != 401 {
		t.Errorf("after logging out: %d", status)
	}
}

// The page speaks the language of the browser, until another one is chosen.
func TestLanguage(t *testing.T) {
	g := serve(t, plant)
	b := openTab(t, g.api, look{accept: "zh-CN,zh"})
	b.wait("Chinese", `document.documentElement.lang.startsWith("zh") && /[\u4e00-\u9fff]/.test(document.body.innerText)`)
	b.click("button", "English")
	b.sees("nav", "Commands")
	b.click("button", "Theme: as the system")
	b.click("button", "Theme: light")
	b.find("button", "Theme: dark")
	dark := `matchMedia("(prefers-color-scheme: light)").matches && getComputedStyle(document.body).colorScheme === "dark"`
	b.wait("that it is dark", dark)
	b.reload()
	b.sees("nav", "Commands")
	b.wait("that it is dark still", dark)
	if lang := eval[string](b, `document.documentElement.lang`); lang != "en" {
		t.Errorf("lang is %q", lang)
	}
}

// Whatever can be clicked can be reached with Tab, and one sees where one is.
func TestKeyboardReachesAll(t *testing.T) {
	g := serve(t, plant)
	c := g.board(longwire.Hello{ID: "pump-0042"})
	if err := c.Push(t.Context(), 0x20, 1); err != nil {
		t.Fatal(err)
	}
	b := openTab(t, g.api, look{})
	for _, hash := range []string{"#/fleet", "#/board/pump-0042", "#/commands", "#/events", "#/health"} {
		b.visit(hash)
		b.wait("all of it", settle)
		if hash == "#/board/pump-0042" {
			b.wait("a frame", `document.querySelector("#trace .frame")`)
		}
		eval[any](b, `void (globalThis.reached = new Set(), globalThis.unseen = [], document.activeElement.blur(), getSelection().collapse(document.body, 0))`)
		controls := `[...document.querySelectorAll("a[href], button, input, select, textarea, summary")].filter(e => !e.disabled && e.tabIndex >= 0 && e.checkVisibility())`
		for range eval[int](b, controls+`.length`) + 6 {
			b.press(kb.Tab)
			eval[any](b, `(e => { reached.add(e.dataset.at ?? e); e.matches(":focus-visible") && getComputedStyle(e).outlineStyle === "none" && e !== document.body && e.id !== "main" && unseen.push(e.outerHTML.slice(0, 80)) })(document.activeElement)`)
		}
		for what, list := range map[string]string{"cannot be reached": controls + `.filter(e => !reached.has(e.dataset.at ?? e)).map(e => e.outerHTML.slice(0, 80))`, "does not show that it is": `unseen`} {
			for _, found := range eval[[]string](b, list) {
				t.Errorf("%s: %s with the keyboard: %s", hash, what, found)
			}
		}
	}
	// The first thing is a way past all that stands on each page.
	b.visit("#/fleet")
	b.reload()
	b.wait("all of it", settle+` && document.querySelector("[role=row] a")`)
	b.press(kb.Tab + kb.Enter)
	b.wait("the page", `document.activeElement.id === "main"`)
}

func TestHealth(t *testing.T) {
	g := serve(t, plant)
	c := g.board(longwire.Hello{ID: "pump-0042"})
	if err := c.Ask(t.Context(), 16, "x", nil); err != nil {
		t.Fatal(err)
	}
	b := openTab(t, g.api+"/#/health", look{})
	b.sees("#app", "boards") // the listener
	b.sees("#app", "127.0.0.1:")
	b.wait("charts", `document.querySelectorAll("canvas").length >= 4`)
	var s struct{ Version string }
	g.do("GET", "/v1/stats", "", &s)
	b.sees("#app", s.Version)
}
