//go:build slow

package browser_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/dom"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// patience is how long a condition in the page may take to come true. It says that something
// hangs; what has to be fast is measured.
const patience = 15 * time.Second

// chromium is the browser that the tests share. Each has a profile of its own in it.
var chromium = sync.OnceValues(func() (context.Context, error) {
	path, err := exec.LookPath("chromium")
	if err != nil && os.Getenv("LONGWIRE_CHROMIUM") == "" {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.WindowSize(1280, 800),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("lang", "en"))
	ctx, endProcess := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancel := chromedp.NewContext(ctx)
	atEnd = append(atEnd, func() {
		chromedp.Cancel(ctx) // waits until it has ended
		cancel()
		endProcess()
	})
	return ctx, chromedp.Do(ctx)
})

// A tab shows the page. Whatever the page complains of in the console, and each violation of its
// policy, fails the test.
type tab struct {
	t   *testing.T
	ctx context.Context

	// lonely lets requests fail: the gateway is away, or refuses a token.
	lonely atomic.Bool

	// hostile lets the page complain: the test does to it what it must not do.
	hostile atomic.Bool

	mu         sync.Mutex
	complaints []string
}

// A look is how the page is looked at.
type look struct {
	width  int64  // 1280 when zero
	dark   bool   // what the system prefers
	accept string // languages; "en" when empty
}

// watch has the page remember what the browser reports to it alone.
const watch = `
	globalThis.violations = [];
	addEventListener("securitypolicyviolation", e => violations.push(e.violatedDirective + ": " + e.blockedURI + " " + e.sample));
	globalThis.longTasks = [];
	new PerformanceObserver(l => longTasks.push(...l.getEntries().map(e => ({start: e.startTime, duration: e.duration}))))
		.observe({type: "longtask", buffered: true});
`

func openTab(t *testing.T, url string, l look) *tab {
	t.Helper()
	browser, err := chromium()
	if err != nil {
		t.Fatal(err)
	}
	if browser == nil {
		t.Skip("there is no chromium on this machine (apt-get install chromium); with LONGWIRE_CHROMIUM=1 that is a failure")
	}
	ctx, cancel := chromedp.NewContext(browser, chromedp.WithNewBrowserContext())
	b := &tab{t: t, ctx: ctx}
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	console := chromedp.Console(ctx)
	read := make(chan struct{})
	go func() {
		defer close(read)
		for m, err := range console {
			if err != nil {
				return
			}
			b.hear(m)
		}
	}()
	t.Cleanup(func() {
		b.end()
		chromedp.Cancel(ctx)
		cancel()
		<-read
	})
	if l.width == 0 {
		l.width = 1280
	}
	if l.accept == "" {
		l.accept = "en"
	}
	scheme := "light"
	if l.dark {
		scheme = "dark"
	}
	b.must("set up", chromedp.Do(ctx,
		chromedp.EmulateViewport(l.width, 800),
		call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}}}),
		call(emulation.SetUserAgentOverride, emulation.SetUserAgentOverrideParams{UserAgent: "Mozilla/5.0 (test)", AcceptLanguage: l.accept}),
		call(accessibility.Enable, cdp.Empty{}),
	))
	b.prepare(watch)
	b.must("open the page", b.navigate(url))
	return b
}

// prepare has a script run in the page before the page's own.
func (b *tab) prepare(script string) {
	b.t.Helper()
	b.must("prepare", chromedp.Do(b.ctx, call(page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: script})))
}

func (b *tab) navigate(url string) error {
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	return chromedp.Do(ctx, chromedp.Navigate(url))
}

// call is a command of the browser as a step.
func call[P, R any](command cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, command, params)
		return err
	})
}

func (b *tab) must(what string, err error) {
	b.t.Helper()
	if err != nil {
		b.shot("failed")
		b.t.Fatalf("%s: %v", what, err)
	}
}

// hear takes down what stands in the console, but not that requests have failed where they may.
func (b *tab) hear(m chromedp.ConsoleMessage) {
	switch m.Type {
	case chromedp.ConsoleLog, chromedp.ConsoleInfo, chromedp.ConsoleDebug:
		return
	}
	if m.Source == "network" && b.lonely.Load() || b.hostile.Load() {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.complaints = append(b.complaints, fmt.Sprintf("%s (%s %s:%d)", m, m.Source, m.URL, m.Line))
}

// end fails the test if the page has complained.
func (b *tab) end() {
	if b.t.Failed() {
		b.shot("failed")
	}
	if b.hostile.Load() {
		return
	}
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	violations, err := chromedp.Run(ctx, chromedp.Evaluate[[]string](`violations`))
	if err != nil {
		b.t.Errorf("read the violations: %v", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, v := range violations {
		b.t.Errorf("violation of the page's policy: %s", v)
	}
	for _, c := range b.complaints {
		b.t.Errorf("in the console: %s", c)
	}
}

// eval returns the value of an expression in the page, which may be a promise.
func eval[T any](b *tab, expression string) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 2*patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	b.must(expression, err)
	return v
}

// wait waits until an expression in the page is true. The page looks after each frame that
// it paints.
func (b *tab) wait(what, expression string) {
	b.t.Helper()
	// The page is loaded again now and then, which ends what runs in it.
	for end := time.Now().Add(patience); ; {
		ctx, cancel := context.WithDeadline(b.ctx, end.Add(time.Second))
		was, err := chromedp.Run(ctx, chromedp.Evaluate[bool](fmt.Sprintf(`new Promise(done => {
			const end = performance.now() + %d
			const look = () => {
				let is = false
				try { is = !!(%s) } catch {}
				is || performance.now() > end ? done(is) : setTimeout(look, 20)
			}
			look()
		})`, max(time.Until(end).Milliseconds(), 1), expression), chromedp.EvalAwaitPromise))
		cancel()
		if was {
			return
		}
		if time.Now().After(end) || b.ctx.Err() != nil {
			b.shot("failed")
			b.t.Fatalf("the page does not show %s: not %s (%v)\n%s", what, expression, err, b.text())
		}
	}
}

// text is what can be read in the page.
func (b *tab) text() string {
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`document.body.innerText`))
	if err != nil {
		return err.Error()
	}
	return text
}

// sees waits until a text can be read in what a selector finds.
func (b *tab) sees(selector, text string) {
	b.t.Helper()
	b.wait(fmt.Sprintf("%q in %s", text, selector), fmt.Sprintf(`[...document.querySelectorAll(%s)].some(e => e.innerText.includes(%s))`, quote(selector), quote(text)))
}

// reads waits until the text of the one thing that a selector finds is this.
func (b *tab) reads(selector, text string) {
	b.t.Helper()
	b.wait(fmt.Sprintf("%q as %s", text, selector), fmt.Sprintf(`document.querySelector(%s).innerText.trim() === %s`, quote(selector), quote(text)))
}

func quote(s string) string {
	b, _ := json.Marshal(s) // of a string it is always possible
	return string(b)
}

// find returns the one element with a role and a name, as those have it who do not see the page, when there is one.
func (b *tab) find(role, name string) cdp.BackendNodeID {
	b.t.Helper()
	for end := time.Now().Add(patience); ; {
		ctx, cancel := context.WithDeadline(b.ctx, end)
		nodes, err := chromedp.Run(ctx, func(ctx context.Context, t *chromedp.Target) ([]*accessibility.Node, error) {
			document, err := cdp.Call(ctx, t, dom.GetDocument, dom.GetDocumentParams{})
			if err != nil {
				return nil, err
			}
			found, err := cdp.Call(ctx, t, accessibility.QueryAXTree, accessibility.QueryAXTreeParams{
				BackendNodeID: document.Root.BackendNodeID, AccessibleName: name, Role: role})
			return found.Nodes, err
		})
		cancel()
		var found []cdp.BackendNodeID
		for _, n := range nodes {
			if !n.Ignored {
				found = append(found, n.BackendDOMNodeID)
			}
		}
		switch {
		case len(found) == 1:
			return found[0]
		case time.Now().After(end) || b.ctx.Err() != nil:
			b.shot("failed")
			b.t.Fatalf("there are %d of %s %q (%v)\n%s", len(found), role, name, err, b.text())
		}
		eval[chromedp.Void](b, `new Promise(done => setTimeout(done, 20))`)
	}
}

// click clicks with the mouse on what find finds, where it is on the screen.
func (b *tab) click(role, name string) {
	b.t.Helper()
	node := b.find(role, name)
	err := chromedp.Do(b.ctx, chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		if _, err := cdp.Call(ctx, t, dom.ScrollIntoViewIfNeeded, dom.ScrollIntoViewIfNeededParams{BackendNodeID: node}); err != nil {
			return err
		}
		quads, err := cdp.Call(ctx, t, dom.GetContentQuads, dom.GetContentQuadsParams{BackendNodeID: node})
		if err != nil {
			return err
		}
		if len(quads.Quads) == 0 {
			return fmt.Errorf("it has no place on the screen")
		}
		q := quads.Quads[0]
		_, err = chromedp.MouseClickXY((q[0]+q[4])/2, (q[1]+q[5])/2)(ctx, t)
		return err
	}))
	b.must(fmt.Sprintf("click on %s %q", role, name), err)
}

// enter replaces what stands in a field by what is typed.
func (b *tab) enter(role, name, text string) {
	b.t.Helper()
	node := b.find(role, name)
	b.must("focus "+name, chromedp.Do(b.ctx, call(dom.Focus, dom.FocusParams{BackendNodeID: node}),
		chromedp.KeyEvent("a", chromedp.KeyModifiers(chromedp.ModifierCtrl))))
	b.press(kb.Backspace + text)
}

// press presses keys, wherever the focus is. A key and the letter that it types are one event, as
// they are from a keyboard: a page that takes the key gets no letter.
func (b *tab) press(keys string) {
	b.t.Helper()
	for _, r := range keys {
		var down *input.DispatchKeyEventParams
		for _, k := range kb.Encode(r) {
			if k.Type == kb.KeyChar {
				down.Type, down.Text, down.UnmodifiedText = input.DispatchKeyEventTypeKeyDown, k.Text, k.UnmodifiedText
				continue
			}
			if down != nil {
				b.must("press a key", chromedp.Do(b.ctx, call(input.DispatchKeyEvent, *down)))
			}
			down = k
		}
		b.must("release it", chromedp.Do(b.ctx, call(input.DispatchKeyEvent, *down)))
	}
}

// visit goes to a part of the page.
func (b *tab) visit(hash string) {
	b.t.Helper()
	eval[chromedp.Void](b, fmt.Sprintf(`void (location.hash = %s)`, quote(hash)))
}

// reload loads the page anew, and waits until the one before is gone.
func (b *tab) reload() {
	b.t.Helper()
	eval[chromedp.Void](b, `void (globalThis.stale = true, location.reload())`)
	b.wait("the page anew", `!globalThis.stale`)
}

// shot keeps a picture of the page, in LONGWIRE_SCREENSHOTS or with what else the test leaves.
func (b *tab) shot(name string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	picture, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		b.t.Logf("no screenshot: %v", err)
		return
	}
	dir := os.Getenv("LONGWIRE_SCREENSHOTS")
	if dir == "" {
		dir = b.t.ArtifactDir()
	} else {
		name = strings.ReplaceAll(b.t.Name(), "/", "-") + "-" + name
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), picture, 0o666); err != nil {
		b.t.Error(err)
	}
}
