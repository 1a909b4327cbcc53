// Package why prints an explanation for people: one branch for each image, with what
// was got and what was wanted on lines of their own. What passed is one line.
//
// Much of the text was chosen by whoever signed, or wrote a policy. Nothing of it
// reaches the terminal that does not print: see [miss.Printable].
package why

import (
	"fmt"
	"io"
	"strings"

	"github.com/assay-dev/assay/builtins/sigstore/miss"
	"github.com/assay-dev/assay/rego"
)

// width is where lines are broken, if there is a space: URLs and digests are not.
const width = 100

// shortest is the longest word that does not stand on a line alone, such as got.
const shortest = 5

// Explained is what -o json prints.
type Explained struct {
	Decision    rego.Decision    `json:"decision"`
	Explanation rego.Explanation `json:"explanation"`
}

// Print writes a decision with its explanation.
func Print(w io.Writer, decision rego.Decision, tree rego.Explanation) error {
	p := &printer{decision: decision}
	for _, node := range tree.Because {
		p.branch(node)
	}
	p.line(0, verdict(decision, tree))
	_, err := io.WriteString(w, p.out.String())
	return err
}

// verdict is that of the decision, whatever the tree says.
func verdict(decision rego.Decision, tree rego.Explanation) string {
	switch {
	case !decision.Allowed:
		return "denied"
	case tree.Code == string(rego.Exempt):
		return "admitted: exempt, the request runs nothing new"
	}
	return "admitted"
}

type printer struct {
	out      strings.Builder
	decision rego.Decision
}

// line writes text at a depth; what does not fit goes on below it, further in.
func (p *printer) line(depth int, text string) {
	indent := strings.Repeat("  ", depth)
	column := 0
	for i, word := range strings.Split(miss.Printable(text), " ") {
		switch {
		case i == 0:
			p.out.WriteString(indent)
			column = len(indent)
		case column > len(indent)+shortest && column+1+len([]rune(word)) > width:
			p.out.WriteString("\n" + indent + "    ")
			column = len(indent) + 4
		default:
			p.out.WriteString(" ")
			column++
		}
		p.out.WriteString(word)
		column += len([]rune(word))
	}
	p.out.WriteString("\n")
}

func (p *printer) branch(node rego.Explanation) {
	if node.What != "image" {
		p.other(node)
		return
	}
	p.line(0, node.Name)
	p.line(1, fmt.Sprintf("at %s: %s", node.Path, outcome(node)))
	p.resolved(node)
	if node.Text != "" {
		p.line(2, node.Text)
	}
	if node.Code == string(rego.NoPolicy) {
		p.nearest(node)
		return
	}
	for _, child := range node.Because {
		p.policy(node.Path, child)
	}
	if node.Because == nil {
		p.passed(node.Path)
	}
}

// other is what is no image: an object that is not understood, or what a policy in plain
// Rego says of the review.
func (p *printer) other(node rego.Explanation) {
	if node.What != "rego" {
		p.line(0, head(node)+text(node))
		return
	}
	p.line(0, fmt.Sprintf("policy %s in Rego (%s): %s", node.Name, node.Mode, outcome(node)))
	for _, child := range node.Because {
		if child.What == "rule" && child.Source != nil {
			p.line(1, fmt.Sprintf("%s by rule %s, %s:%d", child.Text, child.Name, child.Source.Path, child.Source.Line))
			continue
		}
		p.line(1, head(child)+text(child))
	}
}

// passed lists the policies of an image of which there is nothing to explain.
func (p *printer) passed(path string) {
	for _, image := range p.decision.Images {
		for _, policy := range image.Policies {
			if image.Path == path {
				p.policy(path, rego.Explanation{What: "policy", Name: policy.Name, Mode: policy.Mode, Code: policy.Outcome, Outcome: policy.Outcome})
			}
		}
	}
}

// by says which authority satisfied a policy, and who signed.
func (p *printer) by(path string, node rego.Explanation) string {
	if node.Code != string(rego.Passed) {
		return ""
	}
	for _, image := range p.decision.Images {
		for _, policy := range image.Policies {
			if image.Path != path || policy.Name != node.Name {
				continue
			}
			for _, authority := range policy.Authorities {
				if authority.Outcome == "passed" {
					return " by authority " + authority.Name + signer(authority)
				}
			}
		}
	}
	return ""
}

func signer(authority rego.Authority) string {
	switch {
	case len(authority.Signers) == 0:
		return ""
	case authority.Signers[0].Subject == "":
		return ", signed by its key"
	}
	return ", signed by " + authority.Signers[0].Subject
}

// resolved says what a tag named, and of an index what was not verified.
func (p *printer) resolved(node rego.Explanation) {
	for _, image := range p.decision.Images {
		if image.Path != node.Path {
			continue
		}
		if image.Digest != "" && !strings.Contains(image.Image, image.Digest) {
			p.line(2, "the tag names "+image.Digest)
		}
		if image.Manifest == "index" {
			p.line(2, "an index: what was verified is the index, not the images of its platforms")
		}
	}
}

// outcome is a word, and the code where it says more.
func outcome(node rego.Explanation) string {
	if node.Code == node.Outcome {
		return node.Outcome
	}
	return node.Outcome + ", " + node.Code
}

func head(node rego.Explanation) string {
	name := node.Name
	if name != "" {
		name = " " + name
	}
	return fmt.Sprintf("%s%s: %s", node.What, name, outcome(node))
}

func text(node rego.Explanation) string {
	if node.Text == "" {
		return ""
	}
	return ": " + node.Text
}

// nearest lists the policies that nearly match.
func (p *printer) nearest(node rego.Explanation) {
	if len(node.Because) == 0 {
		p.line(2, "no policy comes near it")
		return
	}
	p.line(2, "the nearest policies:")
	for _, policy := range node.Because {
		p.line(3, fmt.Sprintf("policy %s: %s%s", policy.Name, policy.Code, place(policy.Source)))
		p.differs(4, policy.Differs)
	}
}

func (p *printer) policy(path string, node rego.Explanation) {
	if node.What != "policy" {
		p.line(2, head(node)+text(node))
		return
	}
	p.line(2, fmt.Sprintf("policy %s (%s): %s%s", node.Name, node.Mode, outcome(node), p.by(path, node)))
	for _, child := range node.Because {
		p.node(3, child)
	}
}

// node writes what is below a policy.
func (p *printer) node(depth int, node rego.Explanation) {
	switch node.What {
	case "glob", "match":
		p.line(depth, fmt.Sprintf("matched by %s %s%s", node.What, node.Name, place(node.Source)))
		return
	case "signature", "attestation":
		if node.Differs != nil || node.Looked == nil && node.Hint != "" {
			p.missed(depth, node)
			return
		}
	case "rule":
		p.line(depth, rule(node))
		return
	}
	p.line(depth, head(node)+place(node.Source))
	if node.Text != "" && !said(node) {
		p.line(depth+1, node.Text)
	}
	for _, looked := range node.Looked {
		p.line(depth+1, fmt.Sprintf("looked for %s, found %d:", looked.Format, looked.Found))
		for _, at := range looked.At {
			p.line(depth+2, at)
		}
	}
	if node.Hint != "" {
		p.line(depth+1, node.Hint)
	}
	p.children(depth+1, node.Because)
}

// said reports whether what is below a node repeats its text.
func said(node rego.Explanation) bool {
	for _, child := range node.Because {
		if child.What == "rule" && strings.Contains(node.Text, child.Text) {
			return true
		}
	}
	return false
}

// children writes the nearest miss in full and counts the others by code.
func (p *printer) children(depth int, nodes []rego.Explanation) {
	var codes []string
	counts := map[string]int{}
	for i, node := range nodes {
		if i > 0 && (node.What == "signature" || node.What == "attestation" && node.Differs != nil) {
			if counts[node.Code]++; counts[node.Code] == 1 {
				codes = append(codes, node.Code)
			}
			continue
		}
		p.node(depth, node)
	}
	for i, code := range codes {
		codes[i] = fmt.Sprintf("%d %s", counts[code], code)
	}
	if len(codes) > 0 {
		p.line(depth, "and further away: "+strings.Join(codes, ", "))
	}
}

// missed writes a piece of evidence that was refused.
func (p *printer) missed(depth int, node rego.Explanation) {
	p.line(depth, fmt.Sprintf("nearest %s: %s", node.What, node.Code))
	p.line(depth+1, node.Name)
	if len(node.Differs) == 0 {
		p.line(depth+1, node.Hint)
	}
	p.differs(depth+1, node.Differs)
}

func (p *printer) differs(depth int, differences []rego.Difference) {
	for _, d := range differences {
		p.line(depth, d.What+" differs:")
		p.line(depth+1, "got  "+d.Got)
		p.line(depth+1, "want "+d.Want)
	}
}

// rule is a line of a policy that said no.
func rule(node rego.Explanation) string {
	if node.Source != nil {
		return fmt.Sprintf("%s, line %d: %s", node.Name, node.Source.Line, node.Text)
	}
	return fmt.Sprintf("%s: %s", node.Name, node.Text)
}

// place is where the rule of a node stands.
func place(source *rego.Place) string {
	switch {
	case source == nil || source.Field == "":
		return ""
	case source.Path == "" || source.Line == 0:
		return fmt.Sprintf(" [%s]", source.Field)
	}
	return fmt.Sprintf(" [%s, %s:%d]", source.Field, source.Path, source.Line)
}
