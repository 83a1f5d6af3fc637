// Package syntax reads Lua 5.1 into a syntax tree.
//
// The lines in the tree are those that the reference interpreter reports in
// errors. They are not always where an expression begins: a call has the line
// of its opening parenthesis, an operation the line of its last token.
//
// Two things are accepted that Lua 5.1 does not have: `goto name` and
// `::name::`, with the meaning of Lua 5.2.
package syntax

// An Expr is one of the expression types below.
type Expr interface{ expr() }

// A Stmt is one of the statement types below.
type Stmt interface{ stmt() }

type (
	// Nil is the constant nil.
	Nil struct{}
	// Bool is true or false.
	Bool struct{ Value bool }
	// Number is a number constant.
	Number struct{ Value float64 }
	// String is a string constant.
	String struct{ Value string }
	// Vararg is `...`.
	Vararg struct{ Line int }
	// Name is a variable.
	Name struct {
		Line int
		Name string
	}
	// Index is Object[Key]; Object.name has a String as Key.
	Index struct {
		Line        int
		Object, Key Expr
	}
	// Call is Func(Args...).
	Call struct {
		Line int
		Func Expr
		Args []Expr
	}
	// Method is Object:Name(Args...).
	Method struct {
		SelfLine int // of Name
		Line     int // of the call
		Object   Expr
		Name     string
		Args     []Expr
	}
	// Function is a function's parameters and body.
	Function struct {
		Line, End int
		Params    []string
		Vararg    bool // it has `...` as the last parameter
		UsesDots  bool // its body uses `...`
		Body      []Stmt
	}
	// Binary is an operation with two operands, without `..`.
	Binary struct {
		Line        int
		Op          string
		Left, Right Expr
	}
	// Concat is a chain of `..`, at least two operands long.
	Concat struct {
		Line     int
		Operands []Expr
	}
	// Unary is "-", "not" or "#" of X.
	Unary struct {
		Line int
		Op   string
		X    Expr
	}
	// Paren is (X): of several values it keeps the first.
	Paren struct{ X Expr }
	// Table is a table constructor.
	Table struct {
		Line   int
		Fields []Field
	}
)

// A Field of a table constructor. A nil Key makes it an item of the list.
type Field struct {
	Line       int
	Key, Value Expr
}

type (
	// Local declares Names.
	Local struct {
		Line   int
		Names  []string
		Values []Expr
	}
	// LocalFunction declares Name, which Func sees.
	LocalFunction struct {
		Line int
		Name string
		Func *Function
	}
	// Assign sets Targets, which are Names and Indexes.
	Assign struct {
		Line    int
		Targets []Expr
		Values  []Expr
	}
	// CallStmt is a Call or a Method as a statement.
	CallStmt struct{ Call Expr }
	// Do is a block.
	Do struct {
		End  int
		Body []Stmt
	}
	// While is a loop that tests Cond first.
	While struct {
		Line, End int
		Cond      Expr
		Body      []Stmt
	}
	// Repeat is a loop that tests Cond last; Cond sees the locals of Body.
	Repeat struct {
		Line, End int
		Body      []Stmt
		Cond      Expr
	}
	// If has a clause for each condition.
	If struct {
		Clauses []Clause
		Else    []Stmt
	}
	// NumericFor counts. Step is nil when it is not given.
	NumericFor struct {
		Line, DoLine, End int
		Name              string
		Init, Limit, Step Expr
		Body              []Stmt
	}
	// GenericFor calls an iterator.
	GenericFor struct {
		Line, DoLine, End int
		Names             []string
		Values            []Expr
		Body              []Stmt
	}
	// Return ends a function.
	Return struct {
		Line   int
		Values []Expr
	}
	// Break leaves the innermost loop.
	Break struct{ Line int }
	// Goto jumps to a label.
	Goto struct {
		Line int
		Name string
	}
	// Label is the target of Goto.
	Label struct {
		Line int
		Name string
		Last bool // only labels and empty statements follow in its block
	}
)

// A Clause of If.
type Clause struct {
	Line, End int
	Cond      Expr
	Body      []Stmt
}

func (*Nil) expr()      {}
func (*Bool) expr()     {}
func (*Number) expr()   {}
func (*String) expr()   {}
func (*Vararg) expr()   {}
func (*Name) expr()     {}
func (*Index) expr()    {}
func (*Call) expr()     {}
func (*Method) expr()   {}
func (*Function) expr() {}
func (*Binary) expr()   {}
func (*Concat) expr()   {}
func (*Unary) expr()    {}
func (*Paren) expr()    {}
func (*Table) expr()    {}

func (*Local) stmt()         {}
func (*LocalFunction) stmt() {}
func (*Assign) stmt()        {}
func (*CallStmt) stmt()      {}
func (*Do) stmt()            {}
func (*While) stmt()         {}
func (*Repeat) stmt()        {}
func (*If) stmt()            {}
func (*NumericFor) stmt()    {}
func (*GenericFor) stmt()    {}
func (*Return) stmt()        {}
func (*Break) stmt()         {}
func (*Goto) stmt()          {}
func (*Label) stmt()         {}
