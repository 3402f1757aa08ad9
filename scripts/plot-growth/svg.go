package main

import (
	"bytes"
	"errors"
	"fmt"
	"html"
	"math"
	"strconv"
)

// A picture has two panels side by side, CPU and memory over the number of clients, with logarithmic axes: what
// grows linearly is a straight line there, as steep as the dotted ones.
const (
	pictureWidth, pictureHeight = 860, 380
	panelWidth, panelHeight     = 330, 240
	panelTop                    = 70
)

var panelLeft = [2]int{70, 500}

// style has a background of its own, so that the picture can be read on any page, also on one whose colours are
// not those that the reader prefers elsewhere.
const style = `<style>
  text { font: 13px system-ui, sans-serif; fill: #333 }
  .background { fill: #fff }
  .title { font-size: 16px; font-weight: 600 }
  .value { font-size: 12px }
  .axis { stroke: #888; fill: none }
  .grid { stroke: #8884; fill: none }
  .linear { stroke: #888; stroke-dasharray: 2 4; fill: none }
  .cpu { stroke: #0a7bbd; fill: none; stroke-width: 2.5 }
  .memory { stroke: #c2571a; fill: none; stroke-width: 2.5 }
  circle.cpu { fill: #0a7bbd } circle.memory { fill: #c2571a }
  @media (prefers-color-scheme: dark) {
    .background { fill: #16191d }
    text { fill: #ddd }
    .cpu { stroke: #4fb3ef } .memory { stroke: #f08a4b }
    circle.cpu { fill: #4fb3ef } circle.memory { fill: #f08a4b }
  }
</style>
`

// panel is a chart of one quantity.
type panel struct {
	left      int
	title     string
	class     string
	x, y      []float64
	x0, x1    float64 // exponents of ten at the ends of the axes
	y0, y1    float64
	underlays bool // lines of linear growth
}

// plot draws a picture of the points.
func plot(title string, points []point) ([]byte, error) {
	if len(points) < 2 {
		return nil, errors.New("a line has at least two points")
	}
	cpu := panel{left: panelLeft[0], title: "CPU, % of one core", class: "cpu", underlays: true}
	memory := panel{left: panelLeft[1], title: "resident memory, MB", class: "memory"}
	for _, p := range points {
		if p.Count < 1 || p.RSS <= 0 {
			return nil, fmt.Errorf("%d clients with %d bytes of memory are no point", p.Count, p.RSS)
		}
		x := float64(p.Count)
		cpu.x, cpu.y = append(cpu.x, x), append(cpu.y, math.Max(p.CPUPercent, 0.01))
		memory.x, memory.y = append(memory.x, x), append(memory.y, float64(p.RSS)/1e6)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-label="%s">`+"\n",
		pictureWidth, pictureHeight, html.EscapeString(title))
	b.WriteString(style)
	fmt.Fprintf(&b, `<rect class="background" width="%d" height="%d" rx="8"/>`+"\n", pictureWidth, pictureHeight)
	text(&b, pictureWidth/2, 26, "middle", "title", title)
	for _, p := range []*panel{&cpu, &memory} {
		p.scale()
		p.draw(&b)
	}
	text(&b, pictureWidth/2, pictureHeight-10, "middle", "value", "logarithmic axes; a line as steep as the dotted ones is linear growth")
	b.WriteString("</svg>\n")
	return b.Bytes(), nil
}

// scale chooses the ends of the axes: whole powers of ten around what there is.
func (p *panel) scale() {
	p.x0, p.x1 = decades(p.x)
	p.y0, p.y1 = decades(p.y)
}

func decades(v []float64) (from, to float64) {
	least, most := v[0], v[0]
	for _, n := range v {
		least, most = math.Min(least, n), math.Max(most, n)
	}
	from, to = math.Floor(math.Log10(least)), math.Ceil(math.Log10(most))
	return from, math.Max(to, from+1)
}

func (p *panel) at(x, y float64) (float64, float64) {
	return float64(p.left) + (math.Log10(x)-p.x0)/(p.x1-p.x0)*panelWidth,
		panelTop + panelHeight - (math.Log10(y)-p.y0)/(p.y1-p.y0)*panelHeight
}

func (p *panel) draw(b *bytes.Buffer) {
	text(b, float64(p.left), panelTop-16, "start", "", p.title)
	for e := p.x0; e <= p.x1; e++ {
		x, _ := p.at(math.Pow(10, e), 1)
		line(b, "grid", x, panelTop, x, panelTop+panelHeight)
		text(b, x, panelTop+panelHeight+20, "middle", "", short(math.Pow(10, e)))
	}
	for e := p.y0; e <= p.y1; e++ {
		_, y := p.at(1, math.Pow(10, e))
		line(b, "grid", float64(p.left), y, float64(p.left+panelWidth), y)
		text(b, float64(p.left-8), y+4, "end", "", short(math.Pow(10, e)))
	}
	if p.underlays {
		p.drawLinear(b)
	}
	fmt.Fprintf(b, `<polyline class="%s" points="`, p.class)
	for i := range p.x {
		x, y := p.at(p.x[i], p.y[i])
		fmt.Fprintf(b, "%.1f,%.1f ", x, y)
	}
	b.WriteString("\"/>\n")
	for i := range p.x {
		x, y := p.at(p.x[i], p.y[i])
		fmt.Fprintf(b, `<circle class="%s" cx="%.1f" cy="%.1f" r="4"/>`+"\n", p.class, x, y)
		anchor, dx, dy := "end", -8.0, -8.0
		if i == 0 {
			anchor, dx, dy = "start", 8, 17 // a line that rises is above it
		}
		text(b, x+dx, min(max(y+dy, panelTop+12), panelTop+panelHeight-4), anchor, "value", short(p.y[i]))
	}
	fmt.Fprintf(b, `<rect class="axis" x="%d" y="%d" width="%d" height="%d"/>`+"\n", p.left, panelTop, panelWidth, panelHeight)
}

// drawLinear draws lines of slope one, a decade apart, as far as they are inside.
func (p *panel) drawLinear(b *bytes.Buffer) {
	for c := p.y0 - p.x1; c <= p.y1-p.x0; c++ {
		from, to := math.Max(p.x0, p.y0-c), math.Min(p.x1, p.y1-c)
		if from >= to {
			continue
		}
		x1, y1 := p.at(math.Pow(10, from), math.Pow(10, from+c))
		x2, y2 := p.at(math.Pow(10, to), math.Pow(10, to+c))
		line(b, "linear", x1, y1, x2, y2)
	}
}

func line(b *bytes.Buffer, class string, x1, y1, x2, y2 float64) {
	fmt.Fprintf(b, `<line class="%s" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`+"\n", class, x1, y1, x2, y2)
}

func text(b *bytes.Buffer, x, y float64, anchor, class, s string) {
	fmt.Fprintf(b, `<text x="%.1f" y="%.1f" text-anchor="%s" class="%s">%s</text>`+"\n", x, y, anchor, class, html.EscapeString(s))
}

// short writes a number with two or three digits that mean something.
func short(v float64) string {
	switch {
	case v >= 1000:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 10:
		return strconv.FormatFloat(math.Round(v), 'f', -1, 64)
	}
	return strconv.FormatFloat(v, 'g', 2, 64)
}
