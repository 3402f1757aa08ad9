package main

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/headwater-live/headwater/load"
)

// benchScreen shows how a load goes: a table that is drawn again and again on a terminal, elsewhere a line
// whenever something new begins, and every ten seconds.
type benchScreen struct {
	w        io.Writer
	terminal bool
	lines    int // of the table on the screen
	phase    string
	last     time.Time
}

// Control sequences of ECMA-48 and of the VT100, which terminals of all systems know.
const (
	screenUp     = "\x1b[%dA\x1b[J" // so many lines up, and clear what is below
	screenNoWrap = "\x1b[?7l"
	screenWrap   = "\x1b[?7h"
)

const (
	benchPlainEvery = 10 * time.Second
	barWidth        = 30
)

func newBenchScreen(w io.Writer) *benchScreen {
	return &benchScreen{w: w, terminal: isTerminal(w)}
}

// show draws the state of things.
func (s *benchScreen) show(p load.Progress) {
	if !s.terminal {
		if p.Phase == s.phase && time.Since(s.last) < benchPlainEvery {
			return
		}
		s.phase, s.last = p.Phase, time.Now()
		fmt.Fprintf(s.w, "headwater: %s\n", benchLine(p))
		return
	}
	var b bytes.Buffer
	if s.lines > 0 {
		fmt.Fprintf(&b, screenUp, s.lines)
	}
	var table bytes.Buffer
	fmt.Fprintf(&table, "%s\n", benchBar(p))
	_ = benchTable(&table, p.Report) // a bytes.Buffer takes everything
	s.lines = bytes.Count(table.Bytes(), []byte("\n"))
	// A line that were broken on a narrow screen would be two.
	fmt.Fprintf(&b, "%s%s%s", screenNoWrap, table.Bytes(), screenWrap)
	_, _ = s.w.Write(b.Bytes()) // who has closed the terminal does not look at it
}

// end clears the table: the report follows.
func (s *benchScreen) end() {
	if s.lines > 0 {
		fmt.Fprintf(s.w, screenUp, s.lines)
		s.lines = 0
	}
}

// benchLine is the state of things in one line.
func benchLine(p load.Progress) string {
	var b strings.Builder
	b.WriteString(p.Phase)
	if p.Of > 0 {
		fmt.Fprintf(&b, " %.0f of %.0f s", p.Since.Seconds(), p.Of.Seconds())
	}
	fmt.Fprintf(&b, ", %d publishers", p.Report.Publishers.Connected)
	for _, v := range p.Report.Viewers {
		fmt.Fprintf(&b, ", %d %s", v.Connected, v.Protocol)
	}
	return b.String()
}

// benchBar is a progress bar: [######------] measuring 12 of 30 s.
func benchBar(p load.Progress) string {
	if p.Of <= 0 {
		return fmt.Sprintf("[%s] %s", strings.Repeat("-", barWidth), p.Phase)
	}
	done := min(int(p.Since*barWidth/p.Of), barWidth)
	return fmt.Sprintf("[%s%s] %s %.0f of %.0f s", strings.Repeat("#", done), strings.Repeat("-", barWidth-done),
		p.Phase, p.Since.Seconds(), p.Of.Seconds())
}

// printBench prints a report for people.
func printBench(w io.Writer, r *load.Report) error {
	var b bytes.Buffer
	title := fmt.Sprintf("Measured for %.1f s", r.Seconds)
	if r.Interrupted {
		title += ", interrupted"
	}
	fmt.Fprintf(&b, "%s\n\n", title)
	if err := benchTable(&b, r); err != nil {
		return err
	}
	benchErrors(&b, "publishers", r.Publishers.Reconnects, r.Publishers.Errors)
	for _, v := range r.Viewers {
		benchErrors(&b, string(v.Protocol), v.Reconnects, v.Errors)
	}
	if r.Publishers.Late.P99 > 20 && r.Publishers.Late.Count > 0 {
		fmt.Fprintf(&b, "\nThe publishers were late themselves (p99 %.0f ms): this machine is too busy for both ends, and delays\nare longer than the server's.\n",
			r.Publishers.Late.P99)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// benchTable is the part of a report that is also shown while it goes on.
func benchTable(w io.Writer, r *load.Report) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\tclients\tMbit/s\tframes\tlost\tstalls\tdelay p50\tp90\tp99\tmax ms\t")
	p := r.Publishers
	if p.Count > 0 {
		fmt.Fprintf(t, "publishers\t%d/%d\t%.1f\t%d\t\t\tlate %.1f\t%.1f\t%.1f\t%.1f\t\n",
			p.Connected, p.Count, p.BitsPerSec/1e6, p.Frames, p.Late.P50, p.Late.P90, p.Late.P99, p.Late.Max)
	}
	for _, v := range r.Viewers {
		delay := "-\t-\t-\t-"
		if d := v.Delay; d.Count > 0 {
			delay = fmt.Sprintf("%.1f\t%.1f\t%.1f\t%.1f", d.P50, d.P90, d.P99, d.Max)
		}
		fmt.Fprintf(t, "%s\t%d/%d\t%.1f\t%d\t%d\t%d\t%s\t\n",
			v.Protocol, v.Connected, v.Count, v.BitsPerSec/1e6, v.Frames, v.Lost, v.Stalls, delay)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if s := r.Server; s != nil {
		fmt.Fprintf(w, "\nserver  %5.1f%% of a core, %.3f CPU-s/GB, %.0f µs of CPU a second for each viewer\n", s.CPUPercent, s.PerGB, s.PerViewer)
		fmt.Fprintf(w, "        %.1f MB resident, %.1f before the viewers, %.1f KB more for each\n",
			float64(s.RSS)/1e6, float64(s.RSSBefore)/1e6, float64(s.RSSPerViewer)/1e3)
	}
	if c := r.Client; c != nil {
		fmt.Fprintf(w, "client  %5.1f%% of a core, %.1f MB resident\n", c.CPUPercent, float64(c.RSS)/1e6)
	}
	return nil
}

func benchErrors(w io.Writer, who string, reconnects int64, errs map[string]int64) {
	if reconnects == 0 && len(errs) == 0 {
		return
	}
	fmt.Fprintf(w, "%s: %d reconnects", who, reconnects)
	for _, kind := range slices.Sorted(maps.Keys(errs)) {
		fmt.Fprintf(w, "; %s: %d", kind, errs[kind])
	}
	fmt.Fprintln(w)
}
