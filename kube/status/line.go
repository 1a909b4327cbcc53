package status

import "sync"

const (
	// mostBytes bounds what waits to become an Event. A denial counts with its object and
	// denialSize, so 256 of them wait at most.
	mostBytes  = 16 << 20
	denialSize = 64 << 10
	// mostObject is kept of a denial to find the owner in; a larger object is told of in its
	// namespace.
	mostObject = 1 << 20
	// mostOfOne wait of one namespace: the others of a burst say the same.
	mostOfOne = 16
)

// line is where denials wait, those of each namespace in a line of their own. The lines are
// served in turn, and when there is no room the longest one gives way: whoever makes many
// denials in many namespaces delays those of another, and never takes their place.
type line struct {
	some chan struct{} // that something waits

	lock  sync.Mutex
	of    map[string]*waiting // by namespace
	turns []string            // namespaces where something waits, the next one first
	bytes int64
}

type waiting struct {
	denials []Denial // never none
	bytes   int64
}

func newLine() *line {
	return &line{some: make(chan struct{}, 1), of: map[string]*waiting{}}
}

// size is what a denial counts while it waits, with its reasons.
func (d Denial) size() int64 { return denialSize + int64(len(d.Object)) }

// short is a denial with what is told of it, and no more.
func (d Denial) short() Denial {
	if len(d.Object) > mostObject {
		d.Object = nil
	}
	var reasons []string
	for size := 0; len(reasons) < len(d.Reasons) && size <= mostNote; size += len(reasons[len(reasons)-1]) {
		reasons = append(reasons, cut(d.Reasons[len(reasons)], mostNote))
	}
	d.Reasons = reasons
	return d
}

// join takes in a denial, and says how many it lost for it: that one or others.
func (l *line) join(denial Denial) (lost uint64) {
	denial = denial.short()
	l.lock.Lock()
	defer l.lock.Unlock()
	size, mine := denial.size(), l.of[denial.Namespace]
	if mine == nil {
		mine = &waiting{}
	}
	if len(mine.denials) == mostOfOne {
		return 1
	}
	for l.bytes+size > mostBytes {
		longest := l.longest()
		switch {
		case longest.bytes > mine.bytes+size:
			lost += l.shorten(longest)
		case denial.Object != nil:
			denial.Object, size = nil, denialSize
		default:
			return lost + 1
		}
	}
	if len(mine.denials) == 0 {
		l.of[denial.Namespace] = mine
		l.turns = append(l.turns, denial.Namespace)
	}
	mine.denials, mine.bytes, l.bytes = append(mine.denials, denial), mine.bytes+size, l.bytes+size
	select {
	case l.some <- struct{}{}:
	default: // that is known
	}
	return lost
}

// shorten takes the object of the last in a line, or where there is none, that denial. That
// is never the only one: it counts no more than any other.
func (l *line) shorten(w *waiting) (lost uint64) {
	last := &w.denials[len(w.denials)-1]
	size := last.size()
	if last.Object != nil {
		last.Object = nil
		size -= last.size()
	} else {
		w.denials, lost = w.denials[:len(w.denials)-1], 1
	}
	w.bytes, l.bytes = w.bytes-size, l.bytes-size
	return lost
}

// longest is the longest line. Requires that somebody waits.
func (l *line) longest() *waiting {
	out := &waiting{}
	for _, w := range l.of {
		if w.bytes > out.bytes {
			out = w
		}
	}
	return out
}

// next is the denial whose turn it is, if there is any.
func (l *line) next() (denial Denial, ok bool) {
	l.lock.Lock()
	defer l.lock.Unlock()
	if len(l.turns) == 0 {
		return denial, false
	}
	namespace := l.turns[0]
	w := l.of[namespace]
	denial = w.denials[0]
	w.denials, w.bytes, l.bytes = w.denials[1:], w.bytes-denial.size(), l.bytes-denial.size()
	l.turns = l.turns[1:]
	if len(w.denials) > 0 {
		l.turns = append(l.turns, namespace)
	} else {
		delete(l.of, namespace)
	}
	return denial, true
}
