package layers

import "strings"

// A node is a name that matters: a symbolic link, a path that is wanted, or what leads to one of them.
//
// What hides the content of a directory hides that of lower layers only, wherever in its layer it stands. So it is a
// mark on the directory, and what is older than a mark above it is not there.
type node struct {
	children map[string]*node
	kind     kind
	layer    int    // that made it what it is
	newest   int    // layer of this node, or of one below it
	hides    int    // what is below this node is hidden if its layer is older
	target   string // of a symbolic link
	text     string
	problem  string // why there is no text
}

type kind int

const (
	nothing   kind = iota // that is known: at most a directory
	link                  // a symbolic one
	directory             // that is wanted
	other                 // a file that is wanted, or something with a problem
)

// at is the node of a name, nil if it has none. The empty name is the root.
func (i *Image) at(name string) *node {
	at := &i.root
	for part := range parts(name) {
		if at = at.children[part]; at == nil {
			return nil
		}
	}
	return at
}

// visible is what is at a name whose links were resolved, nil for nothing that is known.
func (i *Image) visible(name string) *node {
	at := step{node: &i.root}
	for part := range parts(name) {
		at = at.down(part)
	}
	return at.visible()
}

// parts are those of a name, none of the root.
func parts(name string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		if name != "" {
			strings.SplitSeq(name, "/")(yield)
		}
	}
}

// A step is one part of a name on the way through the tree. Its node is nil where the tree has none.
type step struct {
	part   string
	node   *node
	hidden int // layers before this one are hidden here
}

func (s step) down(part string) step {
	if s.node == nil {
		return step{part: part}
	}
	return step{part, s.node.children[part], max(s.hidden, s.node.hides)}
}

func (s step) visible() *node {
	if s.node == nil || s.node.kind == nothing || s.node.layer < s.hidden {
		return nil
	}
	return s.node
}

// resolve follows the symbolic links of a name, and of what they lead to. Links lead nowhere above the root. It is
// false for more links than Linux follows.
func (i *Image) resolve(name string) (string, bool) {
	done := []step{{node: &i.root}}
	todo := strings.Split(name, "/")
	for hops := 0; len(todo) > 0; {
		part := todo[0]
		todo = todo[1:]
		i.steps++
		switch part {
		case "", ".":
			continue
		case "..":
			done = done[:max(len(done)-1, 1)]
			continue
		}
		next := done[len(done)-1].down(part)
		found := next.visible()
		if found == nil || found.kind != link {
			done = append(done, next)
			continue
		}
		if hops++; hops > maxHops || i.steps > i.limits.Entries*maxSteps {
			return "", false
		}
		if strings.HasPrefix(found.target, "/") {
			done = done[:1]
		}
		todo = append(strings.Split(found.target, "/"), todo...)
	}
	var out strings.Builder
	for n, s := range done[1:] {
		if n > 0 {
			out.WriteByte('/')
		}
		out.WriteString(s.part)
	}
	return out.String(), true
}

// reach is the node of a name, made where there is none. What is on the way to it are directories.
func (i *Image) reach(name string) *node {
	at := &i.root
	at.newest = i.layer
	for part := range parts(name) {
		if at.kind == link || at.kind == other {
			i.text -= int64(len(at.text))
			*at = node{newest: i.layer, hides: at.hides}
		}
		next := at.children[part]
		if next == nil {
			if at.children == nil {
				at.children = map[string]*node{}
			}
			next = &node{}
			at.children[part] = next
			i.names++
		}
		at = next
		at.newest = i.layer
	}
	return at
}

// put places something at a name instead of what was there and below it.
func (i *Image) put(name string, what node) {
	at := i.reach(name)
	i.text += int64(len(what.text)) - at.held()
	what.layer, what.newest = i.layer, i.layer
	*at = what
}

// clear takes away what is at a name and below it.
func (i *Image) clear(name string) {
	if at := i.at(name); at != nil {
		i.text -= at.held()
		*at = node{}
	}
}

// held counts the bytes of the files at a node and below it.
func (n *node) held() int64 {
	total := int64(len(n.text))
	for _, child := range n.children {
		total += child.held()
	}
	return total
}
