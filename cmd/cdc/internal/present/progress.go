package present

import (
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// Defaults of ProgressOptions.
const (
	// progressDelay keeps work that is soon done from flashing a bar.
	progressDelay = 400 * time.Millisecond
	// progressEvery is the pause between two log lines about one piece of work.
	progressEvery = 10 * time.Second
	// progressRefresh is how often bars are drawn.
	progressRefresh = 150 * time.Millisecond
)

// ProgressOptions say where progress is shown. The zero value shows none.
type ProgressOptions struct {
	// Out is where bars are drawn when Terminal is set.
	Out      io.Writer
	Terminal bool
	// Logger takes lines instead where there is no terminal; nil drops them.
	Logger *slog.Logger
	// Delay is how long work goes on before it is shown, Every the pause between log lines; zero is a default.
	Delay, Every time.Duration
}

// Progress shows how far several pieces of work are: bars on a terminal, log lines elsewhere. It is safe for concurrent use.
type Progress struct {
	o     ProgressOptions
	began time.Time

	mu     sync.Mutex // guards all below
	bars   *mpb.Progress
	works  []*Work
	closed bool
}

// NewProgress makes a Progress. Close ends it.
func NewProgress(o ProgressOptions) *Progress {
	if o.Delay == 0 {
		o.Delay = progressDelay
	}
	if o.Every == 0 {
		o.Every = progressEvery
	}
	return &Progress{o: o, began: time.Now()}
}

// Work is one piece of work.
type Work struct {
	p     *Progress
	name  string
	unit  string
	bar   *mpb.Bar
	began time.Time
	said  time.Time
	first int64 // what was done when it was first heard of
	last  int64
	total int64
	done  bool
}

// Start adds a piece of work, counted in the unit ("rows"). An empty unit counts parts of a whole, see Part.
func (p *Progress) Start(name, unit string) *Work {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	w := &Work{p: p, name: name, unit: unit, began: now, said: now}
	p.works = append(p.works, w)
	return w
}

// Set says how much is done, and how much there is; a total of zero is not known. An estimate may be passed.
func (w *Work) Set(done, total int64) {
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	if w.done || w.p.closed {
		return
	}
	if w.last == 0 {
		w.first = done
	}
	w.last, w.total = done, max(total, done)
	if w.p.o.Terminal {
		w.draw()
		return
	}
	if now := time.Now(); w.p.o.Logger != nil && now.Sub(w.said) >= w.p.o.Every {
		w.said = now
		w.log("working")
	}
}

// partScale is how finely Part counts.
const partScale = 1000

// Part says which part is done, 0 to 1.
func (w *Work) Part(part float64) { w.Set(int64(part*partScale), partScale) }

// draw makes the bar when it is due, and moves it.
func (w *Work) draw() {
	if w.bar == nil {
		if time.Since(w.began) < w.p.o.Delay {
			return
		}
		if w.p.bars == nil {
			w.p.bars = mpb.New(mpb.WithOutput(w.p.o.Out), mpb.WithWidth(40), mpb.WithRefreshRate(progressRefresh), mpb.WithAutoRefresh())
		}
		w.bar = w.p.bars.AddBar(0, mpb.PrependDecorators(decor.Name(Clean(w.name), decor.WCSyncSpaceR)),
			mpb.AppendDecorators(w.counter(), decor.Name(" "), decor.Elapsed(decor.ET_STYLE_GO), w.remaining()))
	}
	w.bar.SetTotal(w.total, false)
	w.bar.SetCurrent(min(w.last, max(w.total-1, 0)))
}

func (w *Work) counter() decor.Decorator {
	if w.unit == "" {
		return decor.Percentage(decor.WCSyncSpace)
	}
	return decor.CountersNoUnit("%d of %d "+w.unit, decor.WCSyncSpace)
}

// remaining is about how long the rest takes, at the rate so far.
func (w *Work) remaining() decor.Decorator {
	first, began := w.first, w.began
	return decor.Any(func(s decor.Statistics) string {
		left, ok := remaining(time.Since(began), s.Current-first, s.Total-s.Current)
		if !ok || s.Completed {
			return ""
		}
		return ", " + left.String() + " left"
	})
}

// remaining is how long the rest takes when what is done has taken so long.
func remaining(elapsed time.Duration, done, rest int64) (time.Duration, bool) {
	const most = 1000 * time.Hour // more than that is no guess at all
	if done <= 0 || rest <= 0 || float64(elapsed)*float64(rest) > float64(most)*float64(done) {
		return 0, false
	}
	return time.Duration(float64(elapsed) * float64(rest) / float64(done)).Round(time.Second), true
}

func (w *Work) log(message string) {
	attributes := []any{"work", w.name, "elapsed", time.Since(w.began).Round(time.Millisecond)}
	if w.unit == "" {
		attributes = append(attributes, "percent", w.last*100/partScale)
	} else {
		attributes = append(attributes, "done", w.last, "total", w.total, "unit", w.unit)
	}
	w.p.o.Logger.Info(message, attributes...)
}

// Done ends the piece of work.
func (w *Work) Done() {
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	w.end()
}

func (w *Work) end() {
	if w.done {
		return
	}
	w.done = true
	if w.bar != nil {
		w.bar.SetTotal(max(w.last, 1), false)
		w.bar.SetCurrent(max(w.last, 1))
		w.bar.EnableTriggerComplete()
		return
	}
	if !w.p.o.Terminal && w.p.o.Logger != nil && w.said != w.began {
		w.log("done")
	}
}

// Close ends all work and leaves the bars as they are.
func (p *Progress) Close() {
	p.mu.Lock()
	for _, w := range p.works {
		if w.bar != nil && !w.done {
			w.bar.Abort(true)
			w.done = true
			continue
		}
		w.end()
	}
	p.closed = true
	bars := p.bars
	p.mu.Unlock()
	if bars != nil {
		bars.Wait()
	}
}
