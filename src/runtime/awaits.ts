/**
 * How far the stack of an error follows the `await`s of the program.
 *
 * @module
 */

/**
 * Whether it follows a promise that other code resolves. V8 does. JavaScriptCore follows only the promise of
 * an async function, and only while that function runs.
 */
export const followsPromises: boolean = !("Bun" in globalThis);
