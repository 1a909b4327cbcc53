package declare

import "github.com/open-policy-agent/opa/v1/types"

// Field is an argument of a builtin, or a member of an object. OPA has names and
// descriptions of types too, but its type checker panics where one within an
// object is compared with a constant; so those of members are ours alone.
type Field struct {
	Name string
	Type types.Type
	// Text describes it for policy authors.
	Text string
	// Members are those of the object, or of the objects in the list, that it is.
	Members []Field
}

// Named makes a Field.
func Named(name string, of types.Type, text string) Field {
	return Field{Name: name, Type: of, Text: text}
}

// Object is a member that is a closed object.
func Object(name, text string, members ...Field) Field {
	return Field{Name: name, Type: Closed(members...), Text: text, Members: members}
}

// ObjectOrNull is a member that is a closed object, or null.
func ObjectOrNull(name, text string, members ...Field) Field {
	return Field{Name: name, Type: types.NewAny(types.NewNull(), Closed(members...)), Text: text, Members: members}
}

// Objects is a member that is a list of closed objects.
func Objects(name, text string, members ...Field) Field {
	return Field{Name: name, Type: List(Closed(members...)), Text: text, Members: members}
}

// Closed is an object of exactly the given members: a member that policies
// misspell is a compile error.
func Closed(members ...Field) *types.Object {
	properties := make([]*types.StaticProperty, len(members))
	for i, member := range members {
		properties[i] = types.NewStaticProperty(member.Name, member.Type)
	}
	return types.NewObject(properties, nil)
}

// List is an array of any length.
func List(of types.Type) types.Type { return types.NewArray(nil, of) }

// Words is an object of strings, by any names.
func Words() types.Type { return types.NewObject(nil, types.NewDynamicProperty(types.S, types.S)) }
