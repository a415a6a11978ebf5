//go:build slow

package browser_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/internal/config"
)

// faint lists texts with less contrast to what is behind them than people with weak eyes need (WCAG 2.2,
// 1.4.3), as "ratio: text".
const faint = `(() => {
	const context = Object.assign(document.createElement("canvas"), {width: 1, height: 1}).getContext("2d", {willReadFrequently: true});
	const seen = new Map();
	const rgba = color => {
		if (!seen.has(color)) {
			context.clearRect(0, 0, 1, 1);
			context.fillStyle = color;
			context.fillRect(0, 0, 1, 1);
			seen.set(color, [...context.getImageData(0, 0, 1, 1).data].map((v, i) => i == 3 ? v / 255 : v));
		}
		return seen.get(color);
	};
	const over = (a, b) => [0, 1, 2].map(i => a[i] * a[3] + b[i] * (1 - a[3])).concat(1);
	const behind = e => {
		if (!e) return [255, 255, 255, 1];
		const own = rgba(getComputedStyle(e).backgroundColor);
		return own[3] === 1 ? own : over(own, behind(e.parentElement));
	};
	const light = c => {
		const [r, g, b] = c.map(v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
		return 0.2126 * r + 0.7152 * g + 0.0722 * b;
	};
	const found = new Set();
	const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	for (let n; n = walk.nextNode();) {
		const e = n.parentElement;
		if (!n.data.trim() || !e.checkVisibility({opacityProperty: true, visibilityProperty: true}) || e.closest(":disabled, [aria-hidden=true], noscript, option, .offscreen, .skip, .notice:not(.shown)")) continue;
		const style = getComputedStyle(e), back = behind(e);
		let alpha = 1;
		for (let p = e; p; p = p.parentElement) alpha *= getComputedStyle(p).opacity;
		const ink = rgba(style.color), front = over([ink[0], ink[1], ink[2], ink[3] * alpha], back);
		const [a, b] = [light(front), light(back)].sort((x, y) => y - x), ratio = (a + 0.05) / (b + 0.05);
		const size = parseFloat(style.fontSize), large = size >= 24 || size >= 18.66 && style.fontWeight >= 700;
		if (ratio < (large ? 3 : 4.5)) found.add(ratio.toFixed(2) + ": " + e.className + " " + n.data.trim().slice(0, 40));
	}
	return [...found];
})()`

// outside lists what is wider than the screen, outside of what can be scrolled by itself.
const outside = `(() => {
	const wide = document.documentElement.clientWidth;
	if (document.documentElement.scrollWidth <= wide) return [];
	return ["the page is " + document.documentElement.scrollWidth + " wide", ...[...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > wide + 1)
		.slice(0, 5).map(e => e.tagName + "." + e.className + " ends at " + e.getBoundingClientRect().right)];
})()`

// nameless lists what can be used, and does not say what it is to those who cannot see it.
const nameless = `[...document.querySelectorAll("a[href], button, input, select, textarea")].filter(e => e.checkVisibility() &&
	!(e.ariaLabel || e.innerText?.trim() || e.title || e.labels && [...e.labels].some(l => l.innerText.trim()) || e.querySelector("[alt]:not([alt=''])"))).map(e => e.outerHTML.slice(0, 80))`

// settle is true when nothing on the page waits for a response.
const settle = `document.readyState === "complete" && !document.querySelector(".loading") && document.querySelectorAll("main *").length > 1`

// Each page in each look: nothing is cut off, everything can be read and has a name. The pictures are
// for people to look at.
func TestScreens(t *testing.T) {
	g := serve(t, `
listeners:
  - {name: pumps, address: 127.0.0.1:0}
  - {name: meters, address: 127.0.0.1:0}
types:
  rom_reset_status: 0x10
  reading: {type: 0x20, ack: never}
  valve: 0x11
commands: {timeout: 1s, attempts: 1}
devices:
  frames: 20
  frame_data: true
  attributes:
    pump-0042: {place: "Hall 2, bay 7", firmware: 2.7.1, serial: "LW-20-118-0042"}
`)
	boards := furnish(t, g)
	pages := []struct{ name, hash, shows string }{
		{"fleet", "#/fleet", "pump-0030"},
		{"board", "#/board/pump-0042", "rom_reset_status"},
		{"commands", "#/commands", "meter-7"},
		{"events", "#/events", "pump-0042"},
		{"health", "#/health", "meters"},
		{"unknown", "#/board/nobody", "nobody"},
	}
	looks := map[string]look{"light": {}, "dark": {dark: true}, "narrow": {width: 400}, "narrow-dark-chinese": {width: 400, dark: true, accept: "zh-CN"}, "chinese": {accept: "zh-CN"}}
	for name, l := range looks {
		t.Run(name, func(t *testing.T) {
			b := openTab(t, g.api, l)
			b.lonely.Store(true) // nobody is not there
			for _, page := range pages {
				b.visit(page.hash)
				if page.name == "events" {
					b.choose(map[bool]string{false: "Beginning", true: "起点"}[l.accept != ""], "all")
				}
				if page.name == "board" {
					b.wait("the trace", `document.querySelector("#trace")`)
					boards.talk(t)
					eval[any](b, `document.querySelector("#trace .frame summary")?.click()`)
					b.ask(l.accept != "")
				}
				b.sees("#app", page.shows)
				b.wait("all of it", settle)
				b.check(page.name)
			}
			b.press("/")
		})
	}
	t.Run("empty", func(t *testing.T) {
		b := openTab(t, serve(t, "").api, look{})
		for _, hash := range []string{"#/fleet", "#/commands", "#/events", "#/health"} {
			b.visit(hash)
			b.wait("all of it", settle)
			b.check(hash[2:])
		}
	})
	t.Run("login", func(t *testing.T) {
		token := config.NewToken()
		api := serve(t, "http: {tokens: {ops: \""+config.HashOf(token).Reveal()+"\"}}\n").api
		for name, l := range looks {
			b := openTab(t, api, l)
			b.wait("the login", `document.querySelector("input[type=password]")`)
			b.check(name)
		}
	})
}

// ask asks the board that is shown.
func (b *tab) ask(chinese bool) {
	b.t.Helper()
	kind, data, button := "Type", "Data", "Ask"
	if chinese {
		kind, data, button = "类型", "数据", "提问"
	}
	b.enter("combobox", kind, "rom_reset_status")
	b.enter("textbox", data, `{"rom":"status"}`)
	b.click("button", button)
	b.sees("#answer", "ready")
	eval[any](b, `document.activeElement.blur(); document.querySelector("main").scrollTop = 0`)
}

// check takes a picture and looks at what a program can see.
func (b *tab) check(name string) {
	b.t.Helper()
	b.shot(name)
	for what, list := range map[string]string{"hard to read": faint, "too wide": outside, "without a name": nameless} {
		for _, found := range eval[[]string](b, list) {
			b.t.Errorf("%s: %s: %s", name, what, found)
		}
	}
}

// A hall has boards that talk.
type hall struct{ pump *longwire.Conn }

// furnish fills a gateway with boards as there might be in a plant, some of them away, and with
// commands in all states.
func furnish(t *testing.T, g *process) *hall {
	t.Helper()
	answer := func(_ context.Context, m *longwire.Message) (any, error) {
		return json.RawMessage(`{"ready":true,"rom":"2.7.1","uptime_s":861204,"flash":{"free_kib":312,"worn":false}}`), nil
	}
	h := new(hall)
	for i := range 48 {
		id, group := fmt.Sprintf("pump-%04d", 30+i), fmt.Sprintf("hall-%d", 1+i%3)
		c := g.boardWith(longwire.Hello{ID: id, Groups: []string{group}}, answer)
		for n := range (i * 7) % 23 {
			if err := c.Push(t.Context(), 0x20, map[string]any{"bar": 4.1 + float64(n)/10, "rpm": 1480 + n}); err != nil {
				t.Fatal(err)
			}
		}
		if id == "pump-0042" {
			h.pump = c
		} else if i%11 == 5 {
			c.Close(longwire.ReasonClosed)
		}
	}
	for i := range 9 {
		c := g.boardWith(longwire.Hello{ID: fmt.Sprintf("meter-%d", i+1), Groups: []string{"roof"}}, answer)
		switch i + 1 {
		case 7, 8:
			c.Close(longwire.ReasonClosed)
			<-c.Done()
		}
	}
	mute := g.boardWith(longwire.Hello{ID: "gate-3"}, func(context.Context, *longwire.Message) (any, error) { return longwire.NoAnswer, nil })
	refuses := g.boardWith(longwire.Hello{ID: "gate-4"}, func(context.Context, *longwire.Message) (any, error) {
		return nil, longwire.Errorf(longwire.StatusConflict, "the valve is held by hand")
	})
	for _, command := range []struct{ id, body string }{
		{"pump-0042", `{"type":"valve","data":{"valve":"open","by":15}}`},
		{"pump-0042", `{"type":"rom_reset_status","data":null}`},
		{"gate-3", `{"type":"valve","data":{"valve":"shut"},"timeout":"100ms"}`},
		{"gate-4", `{"type":"valve","data":{"valve":"shut"}}`},
		{"meter-8", `{"type":"valve","data":1,"ttl":"1ms"}`},
	} {
		g.do("POST", "/v1/devices/"+command.id+"/commands?wait=10s", command.body, nil)
	}
	var cancelled struct{ ID string }
	g.do("POST", "/v1/devices/meter-7/commands", `{"type":"valve","data":{"valve":"open"}}`, &cancelled)
	g.do("DELETE", "/v1/devices/meter-7/commands/"+cancelled.ID, "", nil)
	g.do("POST", "/v1/devices/meter-7/commands", `{"type":"rom_reset_status","data":{"keep":["calibration","address"]}}`, nil)
	g.do("POST", "/v1/devices/meter-8/commands", `{"type":"valve","data":{"valve":"shut"},"ttl":"168h"}`, nil)
	mute.Close(longwire.ReasonClosed)
	refuses.Close(longwire.ReasonClosed)
	return h
}

// talk has the board say what there is to see in its trace.
func (h *hall) talk(t *testing.T) {
	t.Helper()
	for n := range 6 {
		if err := h.pump.Push(t.Context(), 0x20, map[string]any{"bar": 4.2, "rpm": 1480 + n, "at": time.Date(2026, 11, 22, 2, 4, n, 0, time.UTC)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.pump.Push(t.Context(), 0x31, longwire.Raw("\x02\x10\x00\x2a\xff\x07crc\x9c\x41")); err != nil {
		t.Fatal(err)
	}
	if err := h.pump.Ask(t.Context(), 0x12, map[string]any{"time": nil}, nil); err != nil {
		t.Fatal(err)
	}
}
