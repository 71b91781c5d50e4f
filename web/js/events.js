// Being told what the host does with its objects, such as nodes and widgets.

/** Calls `then` with the same values after each call of a method of an object, which may have none. */
export function after(object, method, then) {
  const before = object[method]
  object[method] = function (...values) {
    const result = before?.apply(this, values)
    then(...values)
    return result
  }
}
